// Policy evaluation by the rules of IAM: a statement that denies a request wins over any that allows it.
// Must not import KMS or S3 code.
import type { Caller } from './caller.ts';
import type { Condition, Statement } from './policy-parser.ts';

export interface AccessRequest {
  readonly caller: Caller;
  /** For example `kms:Decrypt`. */
  readonly action: string;
  /** ARN. */
  readonly resource: string;
  /** Values of condition keys, by name in lower case; without the keys that the request does not have. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** `none`: no statement matches, which denies the request implicitly. */
export type Decision = 'allow' | 'deny' | 'none';

export function decide(statements: readonly Statement[], request: AccessRequest): Decision {
  const matching = statements.filter((statement) => matches(statement, request));
  if (matching.some(({ effect }) => effect === 'Deny')) return 'deny';
  return matching.length > 0 ? 'allow' : 'none';
}

/** The root of an account means every principal of it, whatever IAM allows them. */
const isCaller = (name: string, { arn, principalArn, account }: Caller): boolean =>
  name === '*' || name === arn || name === principalArn || new RegExp(`^arn:[a-z-]+:iam::${account}:root$`).test(name);

export function matches(statement: Statement, request: AccessRequest): boolean {
  const action = request.action.toLowerCase();
  return (
    statement.actions.some((pattern) => matchesPattern(action, pattern)) &&
    statement.resources.some((pattern) => matchesPattern(request.resource, pattern)) &&
    (statement.principals?.some((name) => isCaller(name, request.caller)) ?? true) &&
    statement.conditions.every((condition) => holds(condition, request.values.get(condition.key)))
  );
}

function holds({ operator, quantifier, ifExists, values }: Condition, found: readonly string[] | undefined): boolean {
  if (operator === 'Null') return values.includes(String(found === undefined));
  if (found === undefined && ifExists) return true;
  const isOne = (text: string): boolean =>
    values.some((value) => (operator.endsWith('Like') ? matchesPattern(text, value) : text === value));
  const isNegated = operator.includes('Not');
  const test = (text: string): boolean => isOne(text) !== isNegated;
  if (quantifier === 'ForAnyValue') return (found ?? []).some(test);
  if (quantifier === 'ForAllValues') return (found ?? []).every(test);
  return found === undefined ? isNegated : found.every(test);
}

/** `*` matches any text, `?` any character. */
function matchesPattern(text: string, pattern: string): boolean {
  const form = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${form}$`, 's').test(text);
}
