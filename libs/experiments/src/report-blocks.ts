/** The blocks of a report before it is rendered as HTML or Markdown. All text is plain, without markup. */

export type Cell = string | { text: string; strong: true };

export interface ReportTable {
  kind: 'table';
  /** Unique in the report; letters, digits and hyphens. */
  id: string;
  /** A description of the comparison. */
  caption: string;
  columns: { group?: string; name: string; numeric?: boolean }[];
  rows: Cell[][];
  notes?: string[];
}

export interface ReportFigure {
  kind: 'figure';
  id: string;
  title: string;
  caption: string;
  /** One drawing, or several pictures with a heading each. */
  svg?: string;
  pictures?: { name: string; alt: string; heading: string; png: Uint8Array }[];
}

export interface ReportFacts {
  kind: 'facts';
  facts: [term: string, text: string][];
}

export type ReportBlock = ReportTable | ReportFigure | ReportFacts | { kind: 'text'; text: string } | { kind: 'code'; text: string };

export interface ReportSection {
  id: string;
  title: string;
  blocks: ReportBlock[];
}

export interface Report {
  title: string;
  subtitle: string;
  /** The remark in every figure's caption and on every printed page; null for real speech. */
  mark: string | null;
  banners: { kind: 'synthetic' | 'partial'; text: string }[];
  summary: string[];
  sections: ReportSection[];
}

export const textOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.text);
