/** The things that a person should look at now, in words: services that restarted, corpora that are refused, inputs to blame. */
import type { OverviewSnapshot } from './overview-snapshot.js';

/** The restarts of one service, as far as the reporter has seen them. */
export interface ServiceRestarts {
  service: string;
  restarts: number;
  /** When it last started again. */
  lastAt: string;
  /** How it ended before that: "code 1", "SIGKILL"; undefined where nobody knows. */
  lastExit?: string | undefined;
  logFile?: string | undefined;
}

/** A restart longer ago than this is no news. */
const newsForMs = 6 * 3_600_000;
const mostCorpora = 5;

/** One line each, the worst first. They hold times, not ages, so that they change only when something happens. */
export function troublesOf(
  { refusedCorpora, deadLetters }: Pick<OverviewSnapshot, 'refusedCorpora' | 'deadLetters'>,
  restarts: readonly ServiceRestarts[],
  nowMs = Date.now(),
): string[] {
  const recent = restarts.filter(({ restarts: count, lastAt }) => count > 0 && Date.parse(lastAt) > nowMs - newsForMs);
  const lines = recent.map((each) => restartLine(each, deadLetters.groups));
  for (const { corpus, code, message, key, since, recordings } of refusedCorpora.slice(0, mostCorpora)) {
    const many = recordings === 0 ? '' : `, ${recordings} ${recordings === 1 ? 'recording waits' : 'recordings wait'}`;
    lines.push(`Corpus ${corpus} is refused since ${clock(since)}${many}. ${code}: ${message} (newest input: ${key})`);
  }
  const more = refusedCorpora.length - mostCorpora;
  if (more > 0) lines.push(`${more} more ${more === 1 ? 'corpus is' : 'corpora are'} refused.`);
  return lines;
}

function restartLine(
  { service, restarts, lastAt, lastExit, logFile }: ServiceRestarts,
  groups: OverviewSnapshot['deadLetters']['groups'],
): string {
  const times = restarts === 1 ? 'once' : `${restarts} times`;
  const how = lastExit === undefined ? '' : `, after ${lastExit}`;
  const log = logFile === undefined ? 'Its log says why.' : `Its log says why: ${logFile}`;
  const crashed = groups.find(({ stage, code }) => stage === service && code === 'UNKNOWN_REPEATED');
  const blame = crashed ? ` The input to blame: ${crashed.latestSubject} (crashed it three times, now a dead letter).` : '';
  return `${service} has restarted ${times}, last at ${clock(lastAt)}${how}. ${log}${blame}`;
}

/** "2026-11-30 18:03 UTC" */
const clock = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
