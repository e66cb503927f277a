/** One number of a service's `/metrics`; of a metric with labels, the sum over them. 0 where there is no answer. */
export async function readMetric(serviceUrl: string, name: string): Promise<number> {
  const text = await fetch(`${serviceUrl}/metrics`).then(
    (answer) => answer.text(),
    () => '',
  );
  return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0);
}
