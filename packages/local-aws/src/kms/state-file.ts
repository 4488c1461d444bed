// State file of the local KMS: stores its keys in one JSON file, readable by its owner only, and replaces it atomically.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Key } from './keys.ts';

/** @throws Error, one sentence, if the file exists and is not a state file */
export function readKeys(file: string): Key[] {
  if (!existsSync(file)) return [];
  try {
    const { keys } = JSON.parse(readFileSync(file, 'utf8')) as {
      keys: (Omit<Key, 'material'> & { material: string })[];
    };
    return keys.map((key) => ({ ...key, material: Buffer.from(key.material, 'base64') }));
  } catch (cause) {
    throw new Error(`The local KMS cannot read its keys from ${file}. Delete the file to start over.`, { cause });
  }
}

/** A crash leaves the old file or the new one, never a partial one. */
export function writeKeys(file: string, keys: readonly Key[]): void {
  mkdirSync(dirname(file), { recursive: true });
  const text = JSON.stringify({ keys: keys.map((key) => ({ ...key, material: key.material.toString('base64') })) });
  const temp = `${file}.${process.pid}.tmp`;
  writeFileSync(temp, text, { mode: 0o600 });
  renameSync(temp, file);
}
