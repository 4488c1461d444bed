// What stands beside an export: ten lines that tell whoever has the KMS key how to open it, without us.
import type { ExportKeys } from './named-keys.ts';

/** What was not stored yet when the export began, and so is not in it. */
export interface Waiting {
  /** For documents: waiting, delayed, parked, or with a worker. */
  readonly jobs: number;
  readonly letters: number;
  /** Objects with the content of such jobs, or of jobs that Redis has lost. */
  readonly intake: number;
}

/** Keys that only an object names are not among them: here a name becomes a command. */
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
  arns.length <= NAMED ? arns.join(', ') : `${arns.slice(0, NAMED).join(', ')} and others that manifest.ndjson names`;

const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function missing({ jobs, letters, intake }: Waiting): string {
  if (jobs + letters + intake === 0) return '';
  return ` NOT in it is what was still waiting to be stored: ${counted(jobs, 'job')}, ${counted(letters, 'dead letter')}, ${counted(intake, 'object')} in intake.`;
}

/** What somebody else has put into the bucket. */
const strangersSentence = (count: number): string =>
  count === 1
    ? "1 file is under a key that was never the tenant's, or is no such message: it is not what we stored."
    : `${count} files are under a key that was never the tenant's, or are no such messages: they are not what we stored.`;

/** Ten lines. */
export function exportNote(facts: NoteFacts): string {
  const { tenant, documents, originals, deletions, ownArns, platformArns, unknownKeyFiles } = facts;
  const andStrangers = unknownKeyFiles > 0 ? ` ${strangersSentence(unknownKeyFiles)}` : '';
  const arn = ownArns[0] ?? platformArns[0] ?? 'KEY_ARN';
  return [
    `All that was stored of tenant ${tenant} on ${facts.at.toISOString()}: ${counted(documents, 'document')}, ${counted(originals, 'original file')}; ${counted(deletions, 'deletion')}, in manifest.ndjson only.${missing(facts.waiting)}`,
    'Each file is one message of the AWS Encryption SDK (message format 2, suite 0x0478: AES-256-GCM with key commitment, no signature). manifest.ndjson names file, sha256, revision and KMS key of each.',
    ownArns.length > 0
      ? `Whoever may call kms:Decrypt with the tenant's KMS key opens them, with no software of ours: ${listed(ownArns)}`
      : "None of them is under a KMS key of the tenant's own.",
    (platformArns.length > 0
      ? `Those under ${listed(platformArns)} are under a KMS key of the operator's, from when the tenant had none: the operator has to open them, or to move them to the tenant's key before an export.`
      : "None of them is under a KMS key of the operator's.") + andStrangers,
    `Encryption context of each, to be checked after opening: tenant=${tenant}, purpose=documents, period=<the hour of its data key, as 2026-11-23T17:41Z>.`,
    'Commitment policy: require-encrypt-require-decrypt, which is the default of version 2 and later of every AWS Encryption SDK. Each message has one wrapped data key.',
    `CLI: mkdir plain && aws-encryption-cli --decrypt --input documents --recursive --output plain --wrapping-keys key=${arn} --encryption-context tenant=${tenant} purpose=documents --commitment-policy require-encrypt-require-decrypt --max-encrypted-data-keys 1 --suppress-metadata`,
    `Python: EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT).decrypt(source=open(FILE, 'rb'), key_provider=StrictAwsKmsMasterKeyProvider(key_ids=['${arn}']))`,
    `JavaScript (@aws-crypto/client-node): buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT).decrypt(new KmsKeyringNode({ keyIds: ['${arn}'] }), readFileSync(FILE))`,
    'A document is then NDJSON in UTF-8: its id and metadata, then its parts. An original is one line of JSON, then the bytes of the file. Compare tenant, corpus, id (its sha256 is the name) and revision with the manifest.',
    '',
  ].join('\n');
}
