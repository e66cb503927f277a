/** Describes the troubles that need attention: services that restarted, refused corpora, and the inputs to blame. */
import type { OverviewSnapshot } from './overview-snapshot.js';

/** The restarts of one service that the reporter has seen. */
export interface ServiceRestarts {
  service: string;
  restarts: number;
  /** Time of the latest restart. */
  lastAt: string;
  /** The exit before that restart, such as "code 1" or "SIGKILL"; undefined if unknown. */
  lastExit?: string | undefined;
  logFile?: string | undefined;
}

/** A restart longer ago than this is not reported. */
const newsForMs = 6 * 3_600_000;
const mostCorpora = 5;

/** One line per trouble, worst first. Lines hold times, not ages, so that they change only when something happens. */
export function troublesOf(
  { refusedCorpora, refusedRows, deadLetters }: Pick<OverviewSnapshot, 'refusedCorpora' | 'refusedRows' | 'deadLetters'>,
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
  for (const { corpus, rows, first } of refusedRows.slice(0, mostCorpora)) {
    const [what, dots] = [rows === 1 ? '1 row is' : `${rows} rows are`, rows > first.length ? ' …' : ''];
    lines.push(`Corpus ${corpus}: ${what} refused, and the rest is used. ${first.join(' ')}${dots}`);
  }
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
