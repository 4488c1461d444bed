// docs/alerts.yml compared with the tables of the code: an alert on a missing metric or code would never fire.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CODES } from '../../src/runtime/errors.ts';
import { METRICS } from '../../src/runtime/metrics.ts';
import { queriesIn, groupedIn, rulesOf, type Rule } from './alert-rules.ts';
import { anchorsOf, linksOf, ROOT } from './pages.ts';

const RULES = rulesOf();

/** Added by Prometheus at each scrape. */
const SCRAPED = ['job', 'instance'];

const rowOf = (metric: string) =>
  (METRICS as Record<string, { readonly type: string; readonly labels: readonly string[]; readonly help: string }>)[
    metric
  ];

/** Values of a label are codes, quantiles, or words that the metric's own help lists. */
function isValue(metric: string, label: string, value: string): boolean {
  if (label === 'code' || (label === 'result' && value === value.toUpperCase())) return Object.hasOwn(CODES, value);
  if (label === 'quantile') return Number(value) > 0 && Number(value) < 1;
  return new RegExp(`\\b${value}\\b`).test(rowOf(metric)?.help ?? '');
}

function faultsOf({ expr, annotations }: Pick<Rule, 'expr' | 'annotations'>): string[] {
  const queries = queriesIn(expr);
  const known = new Set([...SCRAPED, ...queries.flatMap(({ metric }) => rowOf(metric)?.labels ?? [])]);
  const used = Object.values(annotations).flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)]);
  return [
    ...(queries.length === 0 ? ['no metric of sealdex'] : []),
    ...queries.flatMap(({ metric }) => (rowOf(metric) ? [] : [metric])),
    ...queries.flatMap(({ metric, matchers }) =>
      matchers.flatMap(({ label, value }) => {
        const row = rowOf(metric);
        if (!row) return [];
        if (!row.labels.includes(label)) return [`${metric}{${label}}`];
        return isValue(metric, label, value) ? [] : [`${metric}{${label}="${value}"}`];
      }),
    ),
    ...(queries.every(({ metric }) => rowOf(metric)) ? groupedIn(expr).filter((label) => !known.has(label)) : []),
    ...used.flatMap(([, label = '']) => (groupedIn(expr).includes(label) ? [] : [`$labels.${label}`])),
    ...rateFaults(expr),
  ];
}

/** Only counters have rates; the value of a counter alone only rises. */
const rateFaults = (expr: string): string[] =>
  [...expr.matchAll(/\b(rate|increase)\(\s*(sealdex_[a-z_]+)/g)].flatMap(([, name = '', metric = '']) =>
    rowOf(metric) && rowOf(metric)?.type !== 'counter' ? [`${name}(${metric})`] : [],
  );

test('every alert has its own name, which starts with Sealdex', () => {
  const names = RULES.map(({ alert }) => alert);
  expect(names.length).toBeGreaterThan(15);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !/^Sealdex[A-Z][A-Za-z]+$/.test(name))).toEqual([]);
});

describe.each(RULES)('$alert', (rule) => {
  test('uses only existing metrics, labels, values and codes', () => {
    expect(faultsOf(rule)).toEqual([]);
  });

  test('has a severity, a summary and a description, and a duration if it waits', () => {
    expect(['page', 'ticket']).toContain(rule.labels['severity']);
    expect(Object.keys(rule.annotations)).toEqual(['summary', 'description', 'runbook']);
    expect(rule.annotations['description']).toMatch(/[.]$/);
    expect(rule.for ?? '1m').toMatch(/^\d+[smhd]$/);
  });

  test('has balanced brackets in its expression', () => {
    let rest = rule.expr.replaceAll(/"[^"]*"/g, '').replaceAll(/[^()[\]{}]/g, '');
    for (let before = ''; before !== rest;) {
      before = rest;
      rest = rest.replaceAll(/\(\)|\[\]|\{\}/g, '');
    }
    expect(rest).toBe('');
  });

  test('links to a page with instructions', () => {
    const [page = '', anchor] = (rule.annotations['runbook'] ?? '').split('#');
    expect(existsSync(join(ROOT, page))).toBe(true);
    expect(anchor === undefined || anchorsOf(page).includes(anchor)).toBe(true);
  });
});

test('the operations page links to the rules', () => {
  expect(linksOf('docs/operations.md')).toContain('docs/alerts.yml');
});

test('the alert for a scheduled key deletion pages at once', () => {
  const rule = RULES.find(({ expr }) => expr.includes('KEY_PENDING_DELETION'));
  expect(rule).toMatchObject({ alert: 'SealdexKeyDeletionScheduled', labels: { severity: 'page' } });
  expect(rule).not.toHaveProperty('for');
});

test('every code that pauses a worker or keeps a gate shut for long has an alert', () => {
  const matchers = RULES.flatMap(({ expr }) => queriesIn(expr).flatMap((query) => query.matchers));
  const watched = new Set(matchers.filter(({ isWanted }) => isWanted).map(({ value }) => value));
  const codes = Object.entries(CODES).filter(
    ([, { disposition }]) => disposition === 'park' || disposition === 'pause',
  );
  expect(codes.length).toBeGreaterThan(10);
  expect(codes.map(([code]) => code).filter((code) => !watched.has(code))).toEqual([]);
});

describe('a rule without effect is reported:', () => {
  const fault = (expr: string, summary = ''): string[] => faultsOf({ expr, annotations: { summary } });

  test.each([
    ['sealdex_job_total > 0', 'sealdex_job_total'],
    ['sum(rate(sealdex_job_failures_total{codes="KEY_DENIED"}[5m])) > 0', 'sealdex_job_failures_total{codes}'],
    [
      'sum(rate(sealdex_job_failures_total{code=~"KEY_DENIED|KEY_GONE"}[5m])) > 0',
      'sealdex_job_failures_total{code="KEY_GONE"}',
    ],
    ['sum(rate(sealdex_key_uses_total{result="missed"}[5m])) > 0', 'sealdex_key_uses_total{result="missed"}'],
    ['sum by (kind, cod) (rate(sealdex_job_failures_total[5m])) > 0', 'kind'],
    ['rate(sealdex_ready[5m]) > 0', 'rate(sealdex_ready)'],
    ['up == 0', 'no metric of sealdex'],
  ])('%s', (expr, why) => {
    expect(fault(expr)).toContain(why);
  });

  test('and a label in its text without grouping', () => {
    expect(fault('sum by (job) (sealdex_ready) == 0', '{{ $labels.code }}')).toEqual(['$labels.code']);
  });
});
