/**
 * Reads the rows of `manifest.csv` and `manifest.jsonl` as common programs write them: commas, semicolons or tabs; an index
 * column without a name (pandas); trailing commas and `sep=;` (Excel); bare quotes; any line endings; `NaN` in JSON;
 * one JSON array instead of lines.
 *
 * Does not limit size or count: the caller refuses files that are too large.
 */
import { parse } from 'csv-parse/sync';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { quoted } from './remarks.js';

export interface ManifestRow {
  /** File and row, for messages: `manifest.csv, row 3`. Row 1 is the first row below the header. JSON lines give the line. */
  where: string;
  /** Column name in lower case to value. Empty cells and NaN are left out. */
  values: ReadonlyMap<string, unknown>;
  /** Values beyond the last column. */
  surplus: readonly string[];
  /** True if the delimiter is not a comma, so that 3,5 may be a number. */
  hasDecimalCommas: boolean;
}

const delimiters = [',', ';', '\t'];
const maxLineBytes = 1_000_000;

/** @throws PipelineError MANIFEST_INVALID for a file that cannot be read as a whole; the message names the line if one is known */
export function manifestRows(file: string, text: string): ManifestRow[] {
  const plain = text.replace(/^\uFEFF/, '');
  if (!file.endsWith('.jsonl')) return csvRows(file, plain);
  return /^\s*\[/.test(plain) ? jsonArrayRows(file, plain) : jsonLineRows(file, plain);
}

function csvRows(file: string, text: string): ManifestRow[] {
  const [, separator, rest = text] = /^sep=(.)\r?\n([^]*)$/i.exec(text) ?? [];
  const delimiter = separator ?? delimiterOf(rest);
  const [header = [], ...records] = parseCsv(file, rest, delimiter);
  const names = header.map((name) => name.trim().toLowerCase());
  const twice = names.find((name, column) => name !== '' && names.indexOf(name) !== column);
  if (twice !== undefined) throw invalid(`${file} has two columns named ${quoted(twice)}. Rename or remove one of them.`);
  if (!names.includes('path')) {
    const found = names.filter((name) => name !== '').slice(0, 10);
    throw invalid(
      `${file} has no path column. Its first line must name the columns, one of them "path". Found: ${found.map(quoted).join(', ') || 'none'}.`,
    );
  }
  return records.map((cells, index) => ({
    where: `${file}, row ${index + 1}`,
    values: valuesOf(names.map((name, column) => [name, cells[column]])),
    surplus: cells.slice(names.length).filter((cell) => cell !== ''),
    hasDecimalCommas: delimiter !== ',',
  }));
}

/** The delimiter that gives the header a column "path" and the most columns; a comma if none does. */
function delimiterOf(text: string): string {
  const header = /^.*\S.*$/m.exec(text)?.[0] ?? '';
  const columnsBy = (delimiter: string): number => {
    const names = header.split(delimiter).map((name) => name.replaceAll('"', '').trim().toLowerCase());
    return names.includes('path') ? names.length : 0;
  };
  return delimiters.reduce((best, delimiter) => (columnsBy(delimiter) > columnsBy(best) ? delimiter : best));
}

function parseCsv(file: string, text: string, delimiter: string): string[][] {
  try {
    return parse(text, {
      delimiter,
      record_delimiter: ['\r\n', '\n', '\r'],
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      trim: true,
      relax_column_count: true,
      relax_quotes: true,
    });
  } catch (error) {
    throw new PipelineError('MANIFEST_INVALID', `${file} cannot be read as CSV: ${(error as Error).message}`, { cause: error });
  }
}

function jsonLineRows(file: string, text: string): ManifestRow[] {
  return text
    .split(/\r\n|\n|\r/)
    .map((line, index) => ({ line, where: `${file}, line ${index + 1}` }))
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, where }) => jsonRow(parseJson(line, where, maxLineBytes), where));
}

function jsonArrayRows(file: string, text: string): ManifestRow[] {
  const rows = parseJson(text, file, Infinity);
  if (!Array.isArray(rows)) throw invalid(`${file} begins with "[" but is not one JSON array. Write one object on each line.`);
  return rows.map((row, index) => jsonRow(row, `${file}, row ${index + 1}`));
}

function jsonRow(row: unknown, where: string): ManifestRow {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    throw invalid(
      `${where}: ${quoted(row)} is not an object. Each row must be an object such as {"path": "audio/1.wav", "emotion": "sad"}.`,
    );
  }
  const values = valuesOf(Object.entries(row).map(([name, value]) => [name.trim().toLowerCase(), value]));
  return { where, values, surplus: [], hasDecimalCommas: false };
}

/** Python writes NaN, which JSON does not allow. Here it means "no value". */
function parseJson(text: string, noun: string, maxBytes: number): unknown {
  const plain = text.includes('NaN') ? text.replace(/"(?:[^"\\]|\\.)*"|\bNaN\b/g, (token) => (token === 'NaN' ? 'null' : token)) : text;
  return parseOutsideJson(plain, { maxBytes, maxDepth: usualMaxDepth, code: 'MANIFEST_INVALID', noun });
}

/** Leaves out columns without a name: pandas writes its index as one, and Excel keeps deleted columns as such. */
function valuesOf(cells: readonly (readonly [string, unknown])[]): Map<string, unknown> {
  return new Map(cells.filter(([name, value]) => name !== '' && !isNoValue(value)));
}

function isNoValue(value: unknown): boolean {
  if (typeof value === 'string') return value.trim() === '' || /^(?:nan|NaN)$/.test(value.trim());
  return value === undefined || value === null || Number.isNaN(value);
}

/**
 * @returns undefined if the row has no value
 * @throws PipelineError MANIFEST_INVALID for an object or an array in place of a word or a number
 */
export function textOf({ values, where }: ManifestRow, column: string): string | undefined {
  const value = values.get(column);
  if (value === undefined) return undefined;
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    throw invalid(`${where}: ${column} is ${quoted(value)}. It must be a word or a number.`);
  return String(value).trim();
}

const invalid = (message: string): PipelineError => new PipelineError('MANIFEST_INVALID', message);
