// What a policy document decides about a request, by IAM's rules: a statement that denies wins over any that allows.
// Reads documents, never text; knows nothing of KMS or S3.
import type { Caller } from './caller.ts';
import type { Condition, Statement } from './policy-parser.ts';

export interface AccessRequest {
  readonly caller: Caller;
  /** As `kms:Decrypt`. */
  readonly action: string;
  /** ARN. */
  readonly resource: string;
  /** Values of condition keys, whose names are in lower case; what the request has not is left out. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** `none`: nothing is said, which is a no as well, in other words. */
export type Decision = 'allow' | 'deny' | 'none';

export function decide(statements: readonly Statement[], asked: AccessRequest): Decision {
  const meeting = statements.filter((statement) => matches(statement, asked));
  if (meeting.some(({ effect }) => effect === 'Deny')) return 'deny';
  return meeting.length > 0 ? 'allow' : 'none';
}

/** An account's root stands for everybody in it: what its own IAM allows them is not asked here. */
const isCaller = (name: string, { arn, principalArn, account }: Caller): boolean =>
  name === '*' || name === arn || name === principalArn || new RegExp(`^arn:[a-z-]+:iam::${account}:root$`).test(name);

export function matches(statement: Statement, asked: AccessRequest): boolean {
  const action = asked.action.toLowerCase();
  return (
    statement.actions.some((pattern) => matchesPattern(action, pattern)) &&
    statement.resources.some((pattern) => matchesPattern(asked.resource, pattern)) &&
    (statement.principals?.some((name) => isCaller(name, asked.caller)) ?? true) &&
    statement.conditions.every((condition) => holds(condition, asked.values.get(condition.key)))
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

/** `*` is any text, `?` any character. */
function matchesPattern(text: string, pattern: string): boolean {
  const form = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${form}$`, 's').test(text);
}
