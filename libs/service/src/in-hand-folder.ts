/**
 * The local folder in which a stage notes what it has in hand, so that its next process can count a death. It must be
 * the same for the next process of the stage on this machine; in a container, its restart keeps the temporary folder.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const inHandFolder = (topicPrefix: string, stage: string): string =>
  join(tmpdir(), `undertone-in-hand-${process.getuid?.() ?? 'user'}`, `${topicPrefix}.${stage}`);
