/** Writes a field of RFC 4180. Adds quotes where the field needs them. */
export function csvField(value: string | number | boolean | null): string {
  const text = String(value ?? '');
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
