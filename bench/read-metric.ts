/** Reads one number from a service's `/metrics`. For a metric with labels it is the sum over all labels; 0 without an answer. */
export async function readMetric(serviceUrl: string, name: string): Promise<number> {
  const text = await fetch(`${serviceUrl}/metrics`).then(
    (answer) => answer.text(),
    () => '',
  );
  return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0);
}
