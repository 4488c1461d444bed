// What a request to the S3 emulator needs to be allowed, and whether the caller's IAM policy allows it.
// Only callers that were given a policy are asked.
import type { IncomingHttpHeaders } from 'node:http';
import { callerOf, type Caller } from '../iam/caller.ts';
import type { AccessRequest } from '../iam/evaluate.ts';
import type { PermissionBook } from '../iam/permissions.ts';
import type { S3Call } from './fault-injection.ts';

const READS = new Set(['GET', 'HEAD']);

/** What it takes to read a setting of the bucket. */
const SETTINGS: Readonly<Record<string, string>> = {
  versioning: 's3:GetBucketVersioning',
  lifecycle: 's3:GetLifecycleConfiguration',
  encryption: 's3:GetEncryptionConfiguration',
};

/**
 * Whether the request may be carried out. What is missing is told only to who may list, as S3 has it; a condition on an ETag
 * compares with what is stored, which takes the permission to read it.
 */
export function isAllowed(
  permissions: PermissionBook,
  headers: IncomingHttpHeaders,
  call: S3Call,
  isThere: () => boolean,
): boolean {
  const caller = callerOf(headers.authorization);
  const may = (action: string): boolean => permissions.allows(askedOf(caller, action, call));
  if (call.kind === 'list' || call.kind === 'bucket') return may('s3:ListBucket');
  if (call.kind === 'versions') return may('s3:ListBucketVersions');
  if (call.kind === 'uploads') return may('s3:ListBucketMultipartUploads');
  if (call.kind === 'setting') return may(SETTINGS[call.key] ?? 's3:GetBucketPolicy');
  // Each key of it would have to be asked for.
  if (call.kind === 'batch') return may('s3:DeleteObject');
  if (READS.has(call.method)) return may('s3:GetObject') && (isThere() || may('s3:ListBucket'));
  if (call.method === 'DELETE' && call.kind === 'upload') return may('s3:AbortMultipartUpload');
  if (call.method === 'DELETE' && call.isOfVersion) return may('s3:DeleteObjectVersion');
  const write = call.method === 'DELETE' ? 's3:DeleteObject' : 's3:PutObject';
  return may(write) && (headers['if-match'] === undefined || may('s3:GetObject'));
}

function askedOf(caller: Caller, action: string, { bucket, key, kind }: S3Call): AccessRequest {
  const isOfBucket = action.startsWith('s3:ListBucket') || kind === 'setting';
  const values = new Map(isOfBucket && kind === 'list' ? [['s3:prefix', [key]]] : []);
  return { caller, action, resource: `arn:aws:s3:::${bucket}${isOfBucket ? '' : `/${key}`}`, values };
}
