// Conditional writes of the emulator: S3's errors for If-None-Match and If-Match on PUT, If-Match on DELETE, and Content-MD5.
// Must stay synchronous: the write follows in the same tick of the event loop, so that no other request comes between them.
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { S3Fault } from './fault-injection.ts';

type Refusal = Extract<S3Fault, { kind: 'error' }>;

const refusal = (status: number, code: string, message: string): Refusal => ({ kind: 'error', status, code, message });

const preconditionFailed = refusal(
  412,
  'PreconditionFailed',
  'At least one of the pre-conditions you specified did not hold',
);

const unquoted = (etag: string): string => etag.replaceAll('"', '');

/**
 * The error with which this write must be rejected, if any. `etag` is that of the stored object; undefined if there is none.
 * Source: the S3 user guide, conditional writes and conditional deletes.
 */
export function refusalOf(headers: IncomingHttpHeaders, etag: string | undefined): Refusal | undefined {
  const ifNoneMatch = headers['if-none-match'];
  const ifMatch = headers['if-match'];
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    return refusal(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented');
  }
  if (ifNoneMatch !== undefined && etag !== undefined) return preconditionFailed;
  if (ifMatch === undefined) return undefined;
  if (etag === undefined) return refusal(404, 'NoSuchKey', 'The specified key does not exist.');
  return ifMatch === '*' || unquoted(ifMatch) === unquoted(etag) ? undefined : preconditionFailed;
}

const badDigest = refusal(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.');

/** The error for a body that does not match its Content-MD5. */
export function digestRefusal({ 'content-md5': announced }: IncomingHttpHeaders, body: unknown): Refusal | undefined {
  if (announced === undefined || !Buffer.isBuffer(body)) return undefined;
  return createHash('md5').update(body).digest('base64') === announced ? undefined : badDigest;
}
