/**
 * Asks the services at intervals whether they are ready, and counts their restarts.
 *
 * A service reports when its process started. A start later than the beginning of the watch, and later than every start seen of
 * that service, counts as a restart. So several instances behind one address may answer in turn, and each new start counts once.
 */
import { z } from 'zod';
import type { ServiceRestarts } from '#overview/troubles.js';

export type StageLight = 'ready' | 'starting' | 'down';

const limitMs = 1_500;
const startedSchema = z.object({ details: z.object({ started: z.object({ startedAt: z.iso.datetime() }) }) });

interface Watched {
  light: StageLight;
  restarts: number;
  lastStartAt: string | null;
  restartedAt: string | null;
}

export class StageWatch<Stage extends string> {
  private readonly watched = new Map<Stage, Watched>();
  private readonly watchingSince = new Date().toISOString();

  /** @param onRestart called once for each restart */
  constructor(
    private readonly urls: Record<Stage, string>,
    private readonly onRestart: (stage: Stage) => void = () => undefined,
  ) {
    for (const stage of Object.keys(urls) as Stage[])
      this.watched.set(stage, { light: 'down', restarts: 0, lastStartAt: null, restartedAt: null });
  }

  /** Asks all services once. @returns true if a light or a restart changed */
  async ask(): Promise<boolean> {
    const changes = await Promise.all([...this.watched].map(([stage, watched]) => this.askOne(stage, watched)));
    return changes.includes(true);
  }

  lightOf(stage: Stage): StageLight {
    return this.watched.get(stage)?.light ?? 'down';
  }

  get restarts(): ServiceRestarts[] {
    return [...this.watched].flatMap(([service, { restarts, restartedAt }]) =>
      restartedAt === null ? [] : [{ service, restarts, lastAt: restartedAt }],
    );
  }

  private async askOne(stage: Stage, watched: Watched): Promise<boolean> {
    const { light, startedAt } = await answerOf(this.urls[stage]);
    const hasChanged = light !== watched.light;
    watched.light = light;
    if (startedAt === null || (watched.lastStartAt !== null && startedAt <= watched.lastStartAt)) return hasChanged;
    const isRestart = watched.lastStartAt !== null && startedAt > this.watchingSince;
    watched.lastStartAt = startedAt;
    if (!isRestart) return hasChanged;
    watched.restarts++;
    watched.restartedAt = startedAt;
    this.onRestart(stage);
    return true;
  }
}

async function answerOf(url: string): Promise<{ light: StageLight; startedAt: string | null }> {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(limitMs) });
    const parsed = startedSchema.safeParse(await response.json().catch(() => null));
    return { light: response.ok ? 'ready' : 'starting', startedAt: parsed.success ? parsed.data.details.started.startedAt : null };
  } catch {
    return { light: 'down', startedAt: null };
  }
}
