// What DescribeKey tells of a KMS key, judged. It says nothing of permissions: those are tried.
import { ORIGINS_TO_ALLOW, type OriginToAllow } from '../../runtime/names.ts';
import type { KeyFacts } from '../kms.ts';
import { failed, passed, warning, type CheckStep } from './step.ts';

const date = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

const specStep = ({ spec }: KeyFacts): CheckStep =>
  spec === 'SYMMETRIC_DEFAULT'
    ? passed('key spec', 'Symmetric (SYMMETRIC_DEFAULT).')
    : failed('key spec', `The key is ${spec}.`, 'The tenant makes a symmetric key: KeySpec SYMMETRIC_DEFAULT.');

const usageStep = ({ usage }: KeyFacts): CheckStep =>
  usage === 'ENCRYPT_DECRYPT'
    ? passed('key usage', 'Encrypts and decrypts.')
    : failed('key usage', `The key is for ${usage}.`, 'The tenant makes a key with KeyUsage ENCRYPT_DECRYPT.');

export const factSteps = (facts: KeyFacts, region: string, allowed?: OriginToAllow): CheckStep[] => [
  specStep(facts),
  usageStep(facts),
  stateStep(facts),
  regionsStep(facts, region),
  originStep(facts, allowed),
];

const WAYS: Readonly<Record<string, string>> = Object.freeze({
  Disabled: 'The tenant enables the key.',
  PendingDeletion: 'The tenant cancels the deletion and then enables the key: a cancelled deletion leaves it disabled.',
  PendingReplicaDeletion: 'The tenant cancels the deletion and then enables the key, or gives another one.',
  PendingImport: 'The tenant imports the key material.',
  Unavailable: 'The tenant reconnects its custom key store.',
  Creating: 'Wait until KMS has made the replica, and check again.',
  Updating: 'Wait until KMS has changed the key, and check again.',
});

function stateStep({ state, deletesAt }: KeyFacts): CheckStep {
  const way = WAYS[state] ?? 'Look the state up in the KMS documentation.';
  if (state !== 'Enabled') {
    const until = deletesAt === undefined ? '' : `, and will be deleted on ${date(deletesAt)}`;
    return failed('key state', `The key is ${state}${until}.`, way);
  }
  if (deletesAt === undefined) return passed('key state', 'Enabled.');
  return warning(
    'key state',
    `Enabled, and will be deleted on ${date(deletesAt)}.`,
    'The tenant cancels the deletion.',
  );
}

function regionsStep({ regions }: KeyFacts, region: string): CheckStep {
  if (regions === undefined) return passed('regions', 'A single-region key, in our region.');
  if (regions.includes(region)) return passed('regions', `A multi-region key: ${regions.join(', ')}.`);
  return failed(
    'regions',
    `A multi-region key without a replica in ${region}: ${regions.join(', ')}.`,
    `The tenant creates a replica in ${region}.`,
  );
}

const isToAllow = (origin: string): origin is OriginToAllow => (ORIGINS_TO_ALLOW as readonly string[]).includes(origin);

function originStep({ origin, expiresAt }: KeyFacts, allowed: OriginToAllow | undefined): CheckStep {
  if (origin === 'AWS_KMS') return passed('origin', 'The key material was created by KMS (AWS_KMS).');
  if (origin === 'AWS_CLOUDHSM')
    return warning(
      'origin',
      "The key is in a CloudHSM key store (AWS_CLOUDHSM). While it is disconnected, all of the tenant's jobs wait.",
      'The tenant keeps the key store connected.',
    );
  if (!isToAllow(origin))
    return failed('origin', `The origin of the key is ${origin}.`, 'The tenant creates a key with origin AWS_KMS.');
  const observed = outsideKms(origin, expiresAt);
  if (origin !== allowed)
    return failed(
      'origin',
      observed,
      `The tenant creates a key with origin AWS_KMS. To accept this one: --allow-origin ${origin}`,
    );
  const care =
    origin === 'EXTERNAL'
      ? 'keeps a copy of the material, and imports it again before it expires'
      : 'keeps the key store connected';
  return warning('origin', observed, `Allowed by --allow-origin. The tenant ${care}.`);
}

function outsideKms(origin: OriginToAllow, expiresAt: number | undefined): string {
  if (origin === 'EXTERNAL_KEY_STORE')
    return "The key is in an external key store (EXTERNAL_KEY_STORE). While it is disconnected, all of the tenant's jobs wait.";
  const until = expiresAt === undefined ? 'It can be deleted at any time.' : `It expires on ${date(expiresAt)}.`;
  return `The key material is imported (EXTERNAL). ${until}`;
}
