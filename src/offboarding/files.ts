// Files of an export: names the file of an object, and writes it.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readHeader } from '../envelope/message.ts';
import { SealdexError } from '../runtime/errors.ts';
import { NAME } from '../runtime/names.ts';
import { isKeyArn } from '../runtime/key-arn.ts';
import type { StoredObject } from '../store/store.ts';

/** The object's key, or a safe name if the key does not have the form that sealdex writes. */
export function fileOf(key: string, tenant: string): string {
  const [folder = '', owner, corpus = '', object = '', ...more] = key.split('/');
  const isSafe =
    ['documents', 'originals'].includes(folder) &&
    owner === tenant &&
    NAME.test(corpus) &&
    /^[0-9a-f]{64}$/.test(object) &&
    more.length === 0;
  return isSafe ? key : `other/${createHash('sha256').update(key).digest('hex')}`;
}

/** Sufficient for any header that sealdex writes: ARN and context are short, and a wrapped key has at most 6,144 bytes. */
const HEADER_BYTES = 16_384;

/** Writes a temporary file, and renames it when it is complete. @throws SealdexError `STORE_FAILED` */
export async function saveBody(
  stored: StoredObject,
  path: string,
): Promise<{ sha256: string; kmsKeyArn: string | undefined }> {
  const hash = createHash('sha256');
  let start: Buffer = Buffer.alloc(0);
  let written = 0;
  try {
    await mkdir(dirname(path), { recursive: true });
    await rm(`${path}.part`, { force: true });
    // Flag `wx`: never writes through an existing link.
    await using file = await open(`${path}.part`, 'wx', 0o600);
    for await (const chunk of stored.body) {
      if (start.length < HEADER_BYTES) start = Buffer.concat([start, chunk.subarray(0, HEADER_BYTES - start.length)]);
      hash.update(chunk);
      await file.writeFile(chunk);
      written += chunk.length;
    }
  } catch (error) {
    stored.discard();
    throw error;
  }
  if (written !== stored.bytes) throw new SealdexError('STORE_FAILED', undefined, { reason: 'LengthMismatch' });
  await rename(`${path}.part`, path);
  return { sha256: hash.digest('hex'), kmsKeyArn: keyArnIn(start) };
}

/** The KMS key in a message's header; undefined for other bytes. */
function keyArnIn(start: Buffer): string | undefined {
  try {
    const { arn } = readHeader(start);
    // The header may be forged, and the ARN is printed and used in shell commands.
    return isKeyArn(arn) ? arn : undefined;
  } catch (error) {
    if (error instanceof SealdexError && error.code === 'OBJECT_TAMPERED') return undefined;
    throw error;
  }
}

/** Undefined if the file cannot be read or is a link. */
export async function sha256Of(path: string): Promise<string | undefined> {
  try {
    const hash = createHash('sha256');
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    for await (const chunk of file.createReadStream()) hash.update(chunk as Buffer);
    return hash.digest('hex');
  } catch {
    return undefined;
  }
}
