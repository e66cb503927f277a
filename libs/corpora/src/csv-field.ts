/** A field of RFC 4180: quoted where it has to be. */
export function csvField(value: string | number | boolean | null): string {
  const text = String(value ?? '');
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
