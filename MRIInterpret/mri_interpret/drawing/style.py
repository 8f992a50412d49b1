"""The report page's style sheet. Light, one column, system fonts, and rules for paper."""

CSS = """
:root { --ink: #1d232b; --muted: #5c6672; --line: #dde2e8; --soft: #f5f7f9; --accent: #1f5fa8; --warn: #8a4b00; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "Noto Sans", sans-serif; }
.banner { background: #fff4dc; border-bottom: 1px solid #ecd6a4; color: #5c3c00;
  padding: .6rem 1.5rem; font-weight: 600; }
.banner span { display: block; max-width: 68rem; margin: 0 auto; }
.banner span + span { font-weight: 400; font-size: .9rem; }
main { max-width: 71rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: .4rem 0 .2rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .2rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
.lead { color: var(--muted); }
a { color: var(--accent); }
nav { font-size: .9rem; margin: .8rem 0 0; color: var(--muted); }
nav a { margin-right: 1rem; white-space: nowrap; text-decoration: none; }
.answer { display: grid; grid-template-columns: minmax(16rem, 1fr) minmax(18rem, 30rem); gap: 1rem 2.5rem;
  align-items: center; margin-top: 1.2rem; }
.answer dl { margin: 0; display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1rem; }
.answer dt { color: var(--muted); } .answer dd { margin: 0; }
.big { font-size: 1.6rem; font-weight: 650; line-height: 1.2; }
.warnings { border-left: 4px solid #d98a16; background: #fdf6e9; margin: 1.2rem 0; padding: .7rem 1rem; }
.warnings h2 { border: 0; margin: 0 0 .3rem; padding: 0; font-size: 1rem; color: var(--warn); }
.warnings ul { margin: 0; padding-left: 1.2rem; }
figure { margin: .6rem 0 1rem; }
figure img { width: 100%; height: auto; display: block; }
figure.film img { border-radius: 4px; }
figcaption { font-size: .85rem; color: var(--muted); margin-top: .35rem; max-width: 62rem; }
table { border-collapse: collapse; font-size: .875rem; margin: .6rem 0 1rem; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { border-bottom: 1px solid #9aa5b1; font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.keys th { width: 15rem; font-weight: 400; color: var(--muted); }
td { overflow-wrap: break-word; } table.keys td { overflow-wrap: anywhere; }
.facts { font-size: .875rem; color: var(--muted); margin-top: 0; }
.verdict { display: inline-block; min-width: 3.2rem; padding: 0 .5rem; border-radius: 1rem; text-align: center;
  font-size: .8rem; font-weight: 600; white-space: nowrap; border: 1px solid transparent; }
.pass, .good { background: #e2f2e5; color: #14592a; border-color: #a9d5b4; }
.fail, .poor { background: #fbe5e1; color: #8c1d0f; border-color: #e9b3a9; }
.na { background: var(--soft); color: var(--muted); border-color: var(--line); }
ul.verdicts { font-size: .875rem; padding-left: 0; list-style: none; max-width: 62rem; }
ul.verdicts li { margin: .3rem 0; } small { color: var(--muted); }
.matrix th { vertical-align: bottom; line-height: 1.2; } .matrix td, .matrix th { padding: .3rem .35rem; }
.matrix td + td { text-align: center; } .matrix th + th { text-align: center; font-size: .8rem; }
code { font: .85em ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .8rem 1rem; font-size: .75rem; line-height: 1.4; white-space: pre-wrap;
  overflow-wrap: anywhere; }
footer { margin: 3rem 0 1rem; border-top: 1px solid var(--line); padding-top: .8rem; font-size: .85rem;
  color: var(--muted); }
@media (max-width: 44rem) { .answer { grid-template-columns: 1fr; } main { padding: 1rem; }
  .wide { overflow-x: auto; } figure.film { overflow-x: auto; } figure.film img { min-width: 44rem; } }
@media print {
  @page { margin: 14mm; }
  html { font-size: 12px; } body { font-size: 1rem; } main { max-width: none; padding: 0; } nav { display: none; }
  .banner, .warnings, .verdict, figure img { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  figure, tr, .warnings, .answer, .keep { break-inside: avoid; } h2, h3 { break-after: avoid; }
  details > *:not(summary) { display: block; }
}
"""
