// Authorization of the local KMS: checks the key policy and the caller's IAM policy before a call is executed.
import { ACCOUNT, type Caller } from '../iam/caller.ts';
import { Malformed, readDocument, type Kind, type Statement } from '../iam/policy-parser.ts';
import { decide } from '../iam/evaluate.ts';
import type { PermissionBook } from '../iam/permissions.ts';
import type { Context } from './blob.ts';
import { accessDenied, KmsError } from './errors.ts';
import type { Key } from './keys.ts';

/** Policy of a key that is made without one: the account's IAM policies decide. */
export const DEFAULT_POLICY = JSON.stringify(
  {
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  },
  null,
  2,
);

const MAX_POLICY_CHARS = 32_768;

const KEY_POLICY: Kind = { attachedTo: 'resource', services: ['kms'] };

/** The caller and the IAM policies. */
export interface Requester {
  readonly caller: Caller;
  readonly permissions: PermissionBook;
}

/** @throws KmsError AccessDeniedException, with the message of AWS, if the key policy or IAM does not allow the call */
export function authorize(
  { caller, permissions }: Requester,
  key: Key,
  operation: string,
  context: Context = {},
): void {
  const request = { caller, action: `kms:${operation}`, resource: key.arn, values: valuesOf(caller, context) };
  if (!permissions.allows(request)) throw accessDenied(operation, key.arn, 'identity-based', { caller: caller.arn });
  const decision = decide(statementsOf(key), request);
  if (decision === 'allow') return;
  const detail = caller.account !== ACCOUNT ? 'unclear' : decision === 'deny' ? 'explicit' : 'missing';
  throw accessDenied(operation, key.arn, 'resource-based', { caller: caller.arn, detail });
}

function valuesOf({ principalArn, account }: Caller, context: Context): Map<string, readonly string[]> {
  const values = new Map<string, readonly string[]>([
    ['aws:principalarn', [principalArn]],
    ['aws:principalaccount', [account]],
    ['kms:calleraccount', [account]],
  ]);
  const pairs = Object.entries(context);
  if (pairs.length > 0) values.set('kms:encryptioncontextkeys', Object.keys(context));
  for (const [name, value] of pairs) values.set(`kms:encryptioncontext:${name.toLowerCase()}`, [value]);
  return values;
}

const read = new WeakMap<Key, { readonly text: string; readonly statements: readonly Statement[] }>();

function statementsOf(key: Key): readonly Statement[] {
  const text = key.policy ?? DEFAULT_POLICY;
  const known = read.get(key);
  if (known?.text === text) return known.statements;
  const statements = readPolicy(text);
  read.set(key, { text, statements });
  return statements;
}

/** @throws KmsError MalformedPolicyDocumentException */
function readPolicy(text: string): readonly Statement[] {
  try {
    return readDocument(text, KEY_POLICY);
  } catch (error) {
    if (error instanceof Malformed) throw new KmsError('MalformedPolicyDocumentException', error.message);
    throw error;
  }
}

/**
 * Rejects a policy that KMS would reject. With `caller`, the policy must allow the caller to change it again.
 * @throws KmsError MalformedPolicyDocumentException, LimitExceededException
 */
export function checkPolicy(text: string, caller?: Caller): string {
  if (text.length > MAX_POLICY_CHARS) throw new KmsError('LimitExceededException', 'The policy is too long.');
  const statements = readPolicy(text);
  if (!caller) return text;
  const request = { caller, action: 'kms:PutKeyPolicy', resource: 'arn:aws:kms', values: valuesOf(caller, {}) };
  if (decide(statements, request) === 'allow') return text;
  throw new KmsError(
    'MalformedPolicyDocumentException',
    'The new key policy will not allow you to update the key policy in the future.',
  );
}
