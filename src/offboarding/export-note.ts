// README of an export: ten lines on how the owner of the KMS key decrypts the files without sealdex.
import type { ExportKeys } from './named-keys.ts';

/** Jobs that had not ended when the export began: their documents are not in it. */
export interface Waiting {
  /** Number of jobs for documents: waiting, delayed, parked or running. */
  readonly jobs: number;
  /** Number of dead letters. */
  readonly letters: number;
  /** Number of objects with the content of such jobs, or of jobs that Redis has lost. */
  readonly intake: number;
}

/** Contains only trusted keys, because their ARNs become part of shell commands. */
export interface NoteFacts extends ExportKeys {
  readonly tenant: string;
  readonly at: Date;
  readonly documents: number;
  readonly originals: number;
  readonly deletions: number;
  readonly waiting: Waiting;
}

const NAMED = 20;

const listed = (arns: readonly string[]): string =>
  arns.length <= NAMED ? arns.join(', ') : `${arns.slice(0, NAMED).join(', ')} and others listed in manifest.ndjson`;

const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function missing({ jobs, letters, intake }: Waiting): string {
  if (jobs + letters + intake === 0) return '';
  return ` Not exported (still in the queue): ${counted(jobs, 'job')}, ${counted(letters, 'dead letter')}, ${counted(intake, 'object')} in intake.`;
}

const unknownKeySentence = (count: number): string =>
  count === 1
    ? '1 file is invalid or encrypted under a key the tenant never used. Do not trust it.'
    : `${count} files are invalid or encrypted under a key the tenant never used. Do not trust them.`;

export function exportNote(facts: NoteFacts): string {
  const { tenant, documents, originals, deletions, ownArns, platformArns, unknownKeyFiles } = facts;
  const warning = unknownKeyFiles > 0 ? ` ${unknownKeySentence(unknownKeyFiles)}` : '';
  const arn = ownArns[0] ?? platformArns[0] ?? 'KEY_ARN';
  return [
    `Stored data of tenant ${tenant} on ${facts.at.toISOString()}: ${counted(documents, 'document')}, ${counted(originals, 'original file')}, and ${counted(deletions, 'deletion')} (in manifest.ndjson only).${missing(facts.waiting)}`,
    'Each file is one message of the AWS Encryption SDK (message format 2, suite 0x0478: AES-256-GCM with key commitment, no signature). manifest.ndjson lists file, sha256, revision and KMS key of each.',
    ownArns.length > 0
      ? `To decrypt them, a principal needs only kms:Decrypt on the tenant's KMS key; sealdex is not required: ${listed(ownArns)}`
      : "No file is encrypted under the tenant's own KMS key.",
    (platformArns.length > 0
      ? `Files under ${listed(platformArns)} use the operator's platform key, from before the tenant had its own key. Only the operator can decrypt them, or re-encrypt them under the tenant's key before an export.`
      : "No file is encrypted under the operator's platform key.") + warning,
    `Encryption context of each file, to check after decrypting: tenant=${tenant}, purpose=documents, period=<the hour of its data key, as 2026-11-23T17:41Z>.`,
    'Commitment policy: require-encrypt-require-decrypt, the default since version 2 of the AWS Encryption SDK. Each message has one wrapped data key.',
    `CLI: mkdir plain && aws-encryption-cli --decrypt --input documents --recursive --output plain --wrapping-keys key=${arn} --encryption-context tenant=${tenant} purpose=documents --commitment-policy require-encrypt-require-decrypt --max-encrypted-data-keys 1 --suppress-metadata`,
    `Python: EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT).decrypt(source=open(FILE, 'rb'), key_provider=StrictAwsKmsMasterKeyProvider(key_ids=['${arn}']))`,
    `JavaScript (@aws-crypto/client-node): buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT).decrypt(new KmsKeyringNode({ keyIds: ['${arn}'] }), readFileSync(FILE))`,
    'A decrypted document is NDJSON in UTF-8: its id and metadata, then its parts. An original is one line of JSON, then the bytes of the file. Compare tenant, corpus, id (its sha256 is the name) and revision with the manifest.',
    '',
  ].join('\n');
}
