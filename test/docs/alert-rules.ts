// docs/alerts.yml as rules, with the metrics and labels of a Prometheus expression.
import { parse } from 'yaml';
import { fileOf } from './pages.ts';

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export const rulesOf = (): Rule[] =>
  (parse(fileOf('docs/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);

export interface MetricQuery {
  readonly metric: string;
  /** One matcher per alternative of a pattern; `isWanted` is false for excluded values. */
  readonly matchers: readonly { readonly label: string; readonly value: string; readonly isWanted: boolean }[];
}

const METRIC = /\b(sealdex_[a-z_]+)(?:\{([^}]*)\})?/g;
const MATCHER = /([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g;

export const queriesIn = (expr: string): MetricQuery[] =>
  [...expr.matchAll(METRIC)].map(([, metric = '', selector = '']) => ({
    metric,
    matchers: [...selector.matchAll(MATCHER)].flatMap(([, label = '', operator = '', values = '']) =>
      values.split('|').map((value) => ({ label, value, isWanted: operator.startsWith('=') })),
    ),
  }));

/** All labels that the expression groups by. */
export const groupedIn = (expr: string): string[] =>
  [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(',').map((label) => label.trim()));
