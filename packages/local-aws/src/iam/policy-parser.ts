// Policy documents in the language of IAM, as far as the emulators speak it: read from JSON, and refused where they
// say what is not spoken here. An element that is not understood is never skipped.
// What a document decides is evaluate.ts' business.

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  /** Patterns, in lower case: names of actions have no case. */
  readonly actions: readonly string[];
  /** ARNs, `*`, or account ids as ARNs of their root; undefined in a policy of an identity, which names nobody. */
  readonly principals: readonly string[] | undefined;
  /** Patterns. */
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
}

export interface Condition {
  readonly operator: Operator;
  readonly quantifier: 'ForAnyValue' | 'ForAllValues' | undefined;
  readonly ifExists: boolean;
  /** In lower case: names of condition keys have no case. */
  readonly key: string;
  readonly values: readonly string[];
}

const OPERATORS = ['StringEquals', 'StringNotEquals', 'StringLike', 'StringNotLike', 'Null'] as const;
type Operator = (typeof OPERATORS)[number];

/** What kind of document it is: a resource's says who, an identity's says on what. */
export interface Kind {
  readonly attachedTo: 'resource' | 'identity';
  /** The prefixes of its actions. */
  readonly services: readonly string[];
}

/** The condition keys that the emulators' requests have, and whether one can have several values. In lower case. */
const CONDITION_KEYS: Readonly<Record<string, 'single' | 'multi'>> = Object.freeze({
  'aws:principalarn': 'single',
  'aws:principalaccount': 'single',
  'kms:calleraccount': 'single',
  'kms:encryptioncontextkeys': 'multi',
  's3:prefix': 'single',
});

const countOf = (key: string): 'single' | 'multi' | undefined =>
  key.startsWith('kms:encryptioncontext:') ? 'single' : CONDITION_KEYS[key];

/** The document says what is not understood; the message names the element. */
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
  // A key policy is about its own key, which it calls `*`.
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
      // AWS lets these pass and decides what nobody expects.
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
