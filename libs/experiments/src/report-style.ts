/** The style sheet of a report for screen and print. It is always light, because people read reports beside papers. */
export const reportStyle = `
:root { --ink: #1c1c1c; --quiet: #5c5c5c; --line: #cfcfcf; --faint: #f5f6f7; --accent: #0072b2; }
* { box-sizing: border-box; }
html { background: #fff; color-scheme: light; font-size: 15px; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 62rem; color: var(--ink); font: 1rem/1.55 Helvetica, Arial, "Liberation Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; text-wrap: pretty; }
h2 { font-size: 1.2rem; margin: 3rem 0 1rem; padding-bottom: .3rem; border-bottom: 2px solid var(--ink); }
p { margin: .6rem 0; max-width: 50rem; }
table caption { max-width: 100%; }
.subtitle { color: var(--quiet); margin-bottom: 1.25rem; }
.banner { margin: 1rem 0; padding: .7rem 1rem; border: 1px solid; border-left-width: 6px; }
.banner strong { display: block; }
.synthetic { border-color: #d55e00; background: #fff4ec; }
.partial { border-color: #7a5c00; background: #fff9e0; }
.summary { margin: 1.5rem 0; padding: .9rem 1.2rem; background: var(--faint); }
.summary h2 { margin: 0 0 .3rem; padding: 0; border: 0; font-size: 1rem; }
.summary ul { margin: 0; padding-left: 1.1rem; }
.summary li { margin: .2rem 0; }
nav { font-size: .87rem; color: var(--quiet); }
nav a { color: var(--accent); margin-right: 1rem; white-space: nowrap; }
.wide { overflow-x: auto; margin: 1.75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; line-height: 1.4; font-variant-numeric: tabular-nums lining-nums; }
caption { caption-side: top; text-align: left; padding: 0 0 .55rem; color: var(--ink); font-size: .87rem; }
caption b { margin-right: .35em; }
thead { border-top: 1.5px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody { border-bottom: 1.5px solid var(--ink); }
th { font-weight: 600; vertical-align: bottom; }
th, td { padding: .28rem .45rem; text-align: left; }
th:first-child, td:first-child { padding-left: .1rem; }
td:first-child { min-width: 8.5rem; }
tbody tr + tr { border-top: 1px solid #ececec; }
td { vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
th.number { white-space: normal; }
th.group { text-align: center; border-bottom: 1px solid var(--line); }
th.begins, td.begins { padding-left: 1.3rem; }
.note { margin: .4rem 0 0; color: var(--quiet); font-size: .82rem; }
figure { margin: 1.75rem 0; }
figure svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { margin-top: .7rem; font-size: .87rem; }
.mark { color: #a34700; font-weight: 600; }
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem 1.5rem; }
.pictures > div { break-inside: avoid; }
.pictures p { margin: 0 0 .25rem; font-size: .8rem; color: var(--quiet); overflow-wrap: anywhere; }
.pictures img { display: block; width: 100%; image-rendering: pixelated; }
dl { display: grid; grid-template-columns: 8.5rem 1fr; gap: .35rem 1rem; margin: 1.25rem 0; font-size: .92rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
pre { padding: .8rem 1rem; background: var(--faint); font: .8rem/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .pictures { grid-template-columns: 1fr; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
@page { size: A4; margin: 17mm 15mm 19mm; }
@media print {
  html { font-size: 9.5pt; }
  body { max-width: none; padding: 0; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  h2 { margin-top: 1.6rem; break-after: avoid; }
  nav { display: none; }
  .wide { overflow: visible; margin: 1.1rem 0; break-inside: avoid; }
  .long { break-inside: auto; }
  td:first-child { min-width: 0; }
  .pictures { display: block; }
  .pictures > div { display: inline-block; width: 48%; margin: 0 1.5% .6rem 0; vertical-align: top; }
  table { font-size: 8pt; }
  caption, figcaption { font-size: 8.5pt; break-after: avoid; }
  th, td { padding: .18rem .3rem; }
  th.begins, td.begins { padding-left: .8rem; }
  thead { display: table-header-group; }
  tr, figure, .banner, .summary, dt, dd { break-inside: avoid; }
  figure { margin: 1.1rem 0; }
  pre { font-size: 7.5pt; }
}
`;
