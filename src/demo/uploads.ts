// Files beside the documents: sent as they are, read by the worker's child processes, and read back from S3 as anybody
// with the tenant's key would. What is not as it should be shows in the figures; only an abort throws.
import { createReader, type JobState, type Reader } from '../app/app.ts';
import type { Settings } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { DemoTenant } from './cast.ts';
import { type Ends, type Operator, type Producer, type Progress, statesOf, using } from './indexing.ts';
import { outlineOf, type StoredPart } from './outline.ts';
import type { DemoScreen } from './story.ts';
import type { UploadFile } from './upload-files.ts';
import * as story from './uploads-story.ts';
import type { UploadFigures } from './uploads-story.ts';
import { plainWords, words } from './words.ts';

export interface SentUpload {
  readonly tenant: string;
  readonly file: UploadFile;
  /** undefined: the producer refused it. */
  readonly jobId: string | undefined;
}

export interface UploadSending {
  readonly producer: Producer;
  readonly tenants: readonly DemoTenant[];
  readonly files: readonly UploadFile[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const CORPUS = 'files';
const SENT_AT_ONCE = 4;
const TRIES = 2;
/** Its headings make the best picture. */
const SHOWN = 'fair-share.doc';

/** The files turn by turn to the tenants. */
export async function sendUploads(sending: UploadSending): Promise<SentUpload[]> {
  const { tenants, files, progress, signal } = sending;
  const sent: SentUpload[] = [];
  for (let from = 0; from < files.length; from += SENT_AT_ONCE) {
    signal.throwIfAborted();
    const some = files.slice(from, from + SENT_AT_ONCE).map(async (file, index): Promise<SentUpload> => {
      const tenant = tenants[(from + index) % tenants.length]?.tenant ?? '';
      return { tenant, file, jobId: await send(sending, tenant, file) };
    });
    sent.push(...(await Promise.all(some)));
    progress(sent.length, files.length);
  }
  return sent;
}

/** What a service has missed on a busy machine is sent once more: with the same key it is one job. */
async function send(
  { producer }: UploadSending,
  tenant: string,
  { id, filename, bytes }: UploadFile,
): Promise<string | undefined> {
  for (let tries = 1; tries <= TRIES; tries++) {
    try {
      const request = { tenant, corpus: CORPUS, filename, documentId: id, body: bytes, idempotencyKey: id };
      return (await producer.enqueueUpload(request)).jobId;
    } catch (error) {
      if (!(error instanceof SealdexError)) throw error;
    }
  }
  return undefined;
}

/** Waits until no file is on its way any more. Answers what became of each; `unknown` where it was refused. */
export async function uploadStates({
  sent,
  ...ends
}: Omit<Ends, 'jobIds' | 'queue'> & { readonly sent: readonly SentUpload[] }): Promise<JobState[]> {
  const jobIds = sent.flatMap(({ jobId }) => jobId ?? []);
  const states = await statesOf({ ...ends, jobIds, queue: 'upload' });
  return sent.map(({ jobId }) => (jobId === undefined ? undefined : states[jobIds.indexOf(jobId)]) ?? 'unknown');
}

export interface UploadStage {
  readonly settings: Settings;
  readonly operator: Operator;
  readonly sent: readonly SentUpload[];
  /** Of those that were sent, in their order. */
  readonly states: readonly JobState[];
  readonly screen: DemoScreen;
  readonly signal: AbortSignal;
}

/** Reads back all that was stored and shows one of them. Answers the words that were read, too. */
export async function showUploads(stage: UploadStage): Promise<{ figures: UploadFigures; words: Set<string> }> {
  const { settings, operator, sent, states, screen, signal } = stage;
  const found = new Set<string>();
  const stored = await using(await createReader(settings), async (reader) => {
    const back: StoredFile[] = [];
    for (const { tenant, file } of sent.filter((_, at) => states[at] === 'done')) {
      signal.throwIfAborted();
      back.push(...(await readBack(reader, tenant, file)));
    }
    return back;
  });
  for (const { parts } of stored)
    for (const { text } of parts) plainWords(Buffer.from(text), (word) => found.add(word));
  const figures: UploadFigures = {
    files: sent.length,
    types: new Set(stored.map(({ contentType }) => contentType)).size,
    stored: stored.length,
    dead: states.filter((state) => state === 'dead').length,
  };
  story.read(screen, figures);
  for (const { tenant, jobId } of sent.filter(({ file }) => file.isCutOff)) {
    const letter = jobId === undefined ? undefined : await operator.deadShow(jobId);
    if (letter) story.letter(screen, tenant, letter);
  }
  const shown = stored.find(({ file }) => file.filename === SHOWN) ?? stored.at(-1);
  if (shown) story.picture(screen, { ...shown, id: shown.file.id, outline: outlineOf(shown.parts) });
  return { figures, words: found };
}

interface StoredFile {
  readonly tenant: string;
  readonly file: UploadFile;
  readonly contentType: string;
  readonly bytes: number;
  readonly title: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly parts: readonly StoredPart[];
}

/** None where it cannot be read, or holds nothing. */
async function readBack(reader: Reader, tenant: string, file: UploadFile): Promise<StoredFile[]> {
  try {
    const { document, parts } = await reader.open({ tenant, corpus: CORPUS, id: file.id });
    const all = (await Array.fromAsync(parts)).flatMap((item): StoredPart[] => ('text' in item ? [item] : []));
    const { source, title, metadata } = document;
    if (!source || all.length === 0) return [];
    const { contentType, bytes } = source;
    return [{ tenant, file, contentType, bytes, title, metadata, parts: all }];
  } catch (error) {
    if (error instanceof SealdexError) return [];
    throw error;
  }
}

/** Words of the files as they are: they and their names may be nowhere at rest. */
export function wordsOfUploads(files: readonly UploadFile[]): Set<string> {
  const found = new Set<string>();
  for (const { id, bytes } of files) {
    plainWords(Buffer.from(id), (word) => found.add(word));
    words(bytes, (word) => found.add(word));
  }
  return found;
}
