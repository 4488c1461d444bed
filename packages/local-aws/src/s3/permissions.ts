// Authorization of the S3 emulator: the permissions that a request needs, and whether the caller's IAM policy has them.
// A caller without a policy may do everything.
import type { IncomingHttpHeaders } from 'node:http';
import { callerOf, type Caller } from '../iam/caller.ts';
import type { AccessRequest } from '../iam/evaluate.ts';
import type { PermissionBook } from '../iam/permissions.ts';
import type { S3Call } from './fault-injection.ts';

const READS = new Set(['GET', 'HEAD']);

/** Permissions for reading the bucket settings. */
const SETTINGS: Readonly<Record<string, string>> = {
  versioning: 's3:GetBucketVersioning',
  lifecycle: 's3:GetLifecycleConfiguration',
  encryption: 's3:GetEncryptionConfiguration',
};

/**
 * Whether the request is allowed. As in S3, only a caller with ListBucket receives 404 for a missing object. A condition on an
 * ETag needs the permission to read the object.
 */
export function isAllowed(
  permissions: PermissionBook,
  headers: IncomingHttpHeaders,
  call: S3Call,
  isThere: () => boolean,
): boolean {
  const caller = callerOf(headers.authorization);
  const may = (action: string): boolean => permissions.allows(requestOf(caller, action, call));
  if (call.kind === 'list' || call.kind === 'bucket') return may('s3:ListBucket');
  if (call.kind === 'versions') return may('s3:ListBucketVersions');
  if (call.kind === 'uploads') return may('s3:ListBucketMultipartUploads');
  if (call.kind === 'setting') return may(SETTINGS[call.key] ?? 's3:GetBucketPolicy');
  // Checked once for the batch, not for each key.
  if (call.kind === 'batch') return may('s3:DeleteObject');
  if (READS.has(call.method)) return may('s3:GetObject') && (isThere() || may('s3:ListBucket'));
  if (call.method === 'DELETE' && call.kind === 'upload') return may('s3:AbortMultipartUpload');
  if (call.method === 'DELETE' && call.isOfVersion) return may('s3:DeleteObjectVersion');
  const write = call.method === 'DELETE' ? 's3:DeleteObject' : 's3:PutObject';
  return may(write) && (headers['if-match'] === undefined || may('s3:GetObject'));
}

function requestOf(caller: Caller, action: string, { bucket, key, kind }: S3Call): AccessRequest {
  const isOfBucket = action.startsWith('s3:ListBucket') || kind === 'setting';
  const values = new Map(isOfBucket && kind === 'list' ? [['s3:prefix', [key]]] : []);
  return { caller, action, resource: `arn:aws:s3:::${bucket}${isOfBucket ? '' : `/${key}`}`, values };
}
