// Policy parser: reads IAM policy documents from JSON, and rejects elements that the emulators do not support.
// An unsupported element is never ignored.

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  /** Patterns, in lower case: action names are not case-sensitive. */
  readonly actions: readonly string[];
  /** ARNs, `*`, or account ids as ARNs of their root; undefined in an identity policy, which has no principals. */
  readonly principals: readonly string[] | undefined;
  /** Patterns. */
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
}

export interface Condition {
  readonly operator: Operator;
  readonly quantifier: 'ForAnyValue' | 'ForAllValues' | undefined;
  readonly ifExists: boolean;
  /** In lower case: condition keys are not case-sensitive. */
  readonly key: string;
  readonly values: readonly string[];
}

const OPERATORS = ['StringEquals', 'StringNotEquals', 'StringLike', 'StringNotLike', 'Null'] as const;
type Operator = (typeof OPERATORS)[number];

/** Kind of a document: a resource policy names principals, an identity policy names resources. */
export interface Kind {
  readonly attachedTo: 'resource' | 'identity';
  /** The prefixes of its actions. */
  readonly services: readonly string[];
}

/** Condition keys of the emulators' requests, in lower case, and whether one can have several values. */
const CONDITION_KEYS: Readonly<Record<string, 'single' | 'multi'>> = Object.freeze({
  'aws:principalarn': 'single',
  'aws:principalaccount': 'single',
  'kms:calleraccount': 'single',
  'kms:encryptioncontextkeys': 'multi',
  's3:prefix': 'single',
});

const countOf = (key: string): 'single' | 'multi' | undefined =>
  key.startsWith('kms:encryptioncontext:') ? 'single' : CONDITION_KEYS[key];

/** The document has an unsupported element, which the message names. */
export class Malformed extends Error {}

const VERSIONS: ReadonlySet<unknown> = new Set(['2012-10-17', '2008-10-17']);

const textOf = (value: unknown, where: string): string => (typeof value === 'string' ? value : refuse(where));

/** @throws Malformed */
export function readDocument(text: string, kind: Kind): readonly Statement[] {
  const document = objectOf(parse(text), 'the policy', ['Version', 'Id', 'Statement']);
  if (document['Version'] !== undefined && !VERSIONS.has(document['Version'])) refuse('Version');
  if (document['Id'] !== undefined) textOf(document['Id'], 'Id');
  const statements = [document['Statement'] ?? refuse('Statement')].flat().map((each) => statementOf(each, kind));
  return statements.length > 0 ? statements : refuse('Statement');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return refuse('JSON');
  }
}

function statementOf(value: unknown, kind: Kind): Statement {
  const isOfResource = kind.attachedTo === 'resource';
  const known = ['Sid', 'Effect', 'Action', 'Resource', 'Condition', ...(isOfResource ? ['Principal'] : [])];
  const statement = objectOf(value, 'Statement', known);
  const effect = statement['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') return refuse('Effect');
  const resources = textsOf(statement['Resource'], 'Resource');
  // A key policy names its own key as `*`.
  if (isOfResource && resources.some((resource) => resource !== '*')) refuse('Resource');
  if (statement['Sid'] !== undefined) textOf(statement['Sid'], 'Sid');
  return {
    effect,
    actions: textsOf(statement['Action'], 'Action').map((action) => actionOf(action, kind)),
    principals: isOfResource ? principalsOf(statement['Principal']) : undefined,
    resources,
    conditions: conditionsOf(statement['Condition']),
  };
}

function actionOf(action: string, { services }: Kind): string {
  const [service = '', name] = action.toLowerCase().split(':');
  if (action === '*' || (name !== undefined && services.includes(service))) return action.toLowerCase();
  return refuse(`Action ${action}`);
}

const PRINCIPAL = /^arn:aws[a-z-]*:(?:iam|sts)::\d{12}:(?:root|(?:role|user|assumed-role)\/[\w+=,.@/-]+)$/;

function principalsOf(value: unknown): string[] {
  if (value === '*') return ['*'];
  const { AWS } = objectOf(value, 'Principal', ['AWS']);
  return textsOf(AWS, 'Principal').map((name) => {
    if (/^\d{12}$/.test(name)) return `arn:aws:iam::${name}:root`;
    return name === '*' || PRINCIPAL.test(name) ? name : refuse(`Principal ${name}`);
  });
}

function conditionsOf(value: unknown): Condition[] {
  if (value === undefined) return [];
  return Object.entries(objectOf(value, 'Condition')).flatMap(([words, tests]) => {
    const how = operatorOf(words);
    return Object.entries(objectOf(tests, words)).map(([name, texts]) => {
      const key = name.toLowerCase();
      const values = textsOf(texts, name);
      const counts = countOf(key) ?? refuse(`condition key ${name}`);
      // AWS accepts these conditions, and evaluates them in unexpected ways.
      if ((counts === 'multi') !== (how.quantifier !== undefined) && how.operator !== 'Null')
        refuse(`${words} ${name}`);
      if (how.operator === 'Null' && values.some((each) => each !== 'true' && each !== 'false')) refuse(`Null ${name}`);
      if (values.some((each) => each.includes('${'))) refuse(`variable in ${name}`);
      return { ...how, key, values };
    });
  });
}

function operatorOf(words: string): Pick<Condition, 'operator' | 'quantifier' | 'ifExists'> {
  const [, quantifier, name, ifExists] = /^(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?$/.exec(words) ?? [];
  const operator = OPERATORS.find((each) => each === name) ?? refuse(`Condition ${words}`);
  if (operator === 'Null' && (quantifier !== undefined || ifExists !== undefined)) refuse(`Condition ${words}`);
  return { operator, quantifier: quantifier as Condition['quantifier'], ifExists: ifExists !== undefined };
}

/** An object with no other members than these. */
function objectOf(value: unknown, where: string, members?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(where);
  const unknown = members && Object.keys(value).find((name) => !members.includes(name));
  return unknown === undefined ? (value as Record<string, unknown>) : refuse(`${where} ${unknown}`);
}

function textsOf(value: unknown, where: string): string[] {
  const texts = [value].flat().map((each) => (typeof each === 'boolean' ? String(each) : textOf(each, where)));
  return texts.length > 0 ? texts : refuse(where);
}

function refuse(what: string): never {
  throw new Malformed(`The local policy language has no place for ${what}.`);
}
