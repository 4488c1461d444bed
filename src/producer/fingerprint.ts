// Request fingerprints: decide whether two requests with one idempotency key are equal. They cover job id, kind, document id,
// options and content. The job id gives equal content of two tenants or keys different fingerprints.
import { isOtherRequest, type FingerprintHash } from '../intake/fingerprint-key.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { CheckedRequest, CheckedUpload } from './request.ts';

export interface RequestFingerprint {
  /** The request to continue with: reading the file of an upload also computes the fingerprint. */
  readonly request: CheckedRequest;
  /** Reads the rest of the file. @throws SealdexError as FileBody's chunks */
  whole(): Promise<string>;
  /**
   * Compares with the fingerprint of an idempotency record. A record without a fingerprint is from an older producer.
   * @throws SealdexError `IDEMPOTENCY_CONFLICT` if it belongs to another request; as `whole()`
   */
  mustEqual(recorded: string | undefined): Promise<void>;
}

export function fingerprintOf(hash: FingerprintHash, jobId: string, request: CheckedRequest): RequestFingerprint {
  const parts = Buffer.from(JSON.stringify(partsOf(jobId, request)));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(parts.length);
  hash.update(length);
  hash.update(parts);
  // Last, since its length may be unknown.
  if (request.kind === 'index') hash.update(request.body);
  const hashed = request.kind === 'upload' ? hashedUpload(request, hash) : request;
  let digest: string | undefined;
  const whole = async (): Promise<string> => {
    if (hashed.kind === 'upload') for await (const _chunk of hashed.file.chunks);
    return (digest ??= hash.digest());
  };
  return {
    request: hashed,
    whole,
    async mustEqual(recorded) {
      if (recorded === undefined || !isOtherRequest(await whole(), recorded)) return;
      throw new SealdexError('IDEMPOTENCY_CONFLICT', undefined, { field: 'idempotencyKey' });
    },
  };
}

/** One array of fixed length per kind, so that two different requests never have the same JSON. */
function partsOf(jobId: string, request: CheckedRequest): readonly unknown[] {
  const { kind, documentId } = request;
  if (kind === 'delete') return [1, jobId, kind, documentId];
  if (kind === 'index') return [1, jobId, kind, documentId, request.ifExists];
  const { filename, contentType, metadata, chunkingStrategy } = request.about;
  return [1, jobId, kind, documentId, request.ifExists, filename, contentType, metadata, chunkingStrategy];
}

function hashedUpload(request: CheckedUpload, hash: FingerprintHash): CheckedUpload {
  async function* hashing(): AsyncGenerator<Uint8Array> {
    for await (const chunk of request.file.chunks) {
      hash.update(chunk);
      yield chunk;
    }
  }
  return { ...request, file: { ...request.file, chunks: hashing() } };
}
