// Additions of the reader tests to a scene: stored documents, and ways to corrupt them.
import type { EnqueueResult } from '../../src/producer/producer.ts';
import { objectName } from '../../src/runtime/names.ts';
import { ended, objectAt, resultOf, type Scene } from '../producer/fixture.ts';

export interface Place {
  readonly tenant: string;
  readonly corpus: string;
  readonly id: string;
}

/** The document's object in S3. */
export const keyOf = ({ tenant, corpus, id }: Place): string => `documents/${tenant}/${corpus}/${objectName(id)}`;

/** Indexes documents from end to end and waits until all are stored. */
export async function storeDocuments(
  scene: Scene,
  { tenant, corpus }: Omit<Place, 'id'>,
  documents: readonly object[],
): Promise<EnqueueResult[]> {
  const producer = await scene.producer();
  const jobs = (await producer.enqueueIndexBulk(documents.map((document) => ({ tenant, corpus, document })))).map(
    resultOf,
  );
  const stop = await scene.work();
  for (const { jobId } of jobs) await ended(producer, jobId);
  await stop();
  return jobs;
}

/** Overwrites an object like a writer with access to the bucket: other bytes, other metadata, another name. */
export async function overwrite(
  scene: Scene,
  key: string,
  change: { bytes?: Uint8Array; metadata?: Record<string, string> },
): Promise<void> {
  const { metadata, bytes } =
    change.bytes && change.metadata ? { metadata: {}, bytes: Buffer.alloc(0) } : await objectAt(scene.store, key);
  await scene.store.put(key, change.bytes ?? bytes, { metadata: change.metadata ?? metadata });
}

/** Puts the object of one document in place of another's. */
export async function copy(scene: Scene, from: string, to: string): Promise<void> {
  const { metadata, bytes } = await objectAt(scene.store, from);
  await scene.store.put(to, bytes, { metadata });
}
