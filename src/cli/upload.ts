// `sealdex upload`: enqueues files, and prints a table of those that failed.
import { createReadStream } from 'node:fs';
import { Command } from 'commander';
import type { Producer } from '../app/app.ts';
import { SealdexError } from '../runtime/errors.ts';
import { unreadable } from '../extract/reasons.ts';
import {
  ENQUEUE_EXIT_CODES,
  inBatches,
  runEnqueue,
  type EnqueueFlow,
  type EnqueueOptions,
  type SendResult,
  TARGET_CORPUS,
  withEnqueueOptions,
} from './enqueue-flow.ts';
import type { FoundFile } from './files.ts';
import { progressBar } from './terminal.ts';
import { approximateSize } from '../runtime/units.ts';
import { readMissingUploadWorker } from './missing-worker.ts';
import { filesOf } from './upload-files.ts';

/** Each file needs a few buffers; more concurrency would only share the same bandwidth. */
const CONCURRENCY = 4;
const MAX_WAITING = 1000;

const NO_PROGRESS: UploadProgress = { onBytes() {}, onFiles() {}, end() {} };

export function uploadCommand(): Command {
  const command = new Command('upload')
    .description('enqueue files for text extraction and indexing')
    .argument('<file...>', 'files or directories (read recursively)');
  return withEnqueueOptions(command, 'files', TARGET_CORPUS)
    .addHelpText(
      'after',
      `
The path as given becomes the document id. Uploading the same path again
replaces the document.
Supported types: docs/uploads.md. To preview the result: sealdex extract FILE.
${ENQUEUE_EXIT_CODES}

Examples:
  sealdex upload --tenant acme --corpus files --wait report.pdf letters/
  sealdex dead list --tenant acme  # files that could not be read`,
    )
    .action((paths: string[], options: EnqueueOptions) =>
      runEnqueue(options, async (signal): Promise<EnqueueFlow<FoundFile>> => {
        const files = await filesOf(paths);
        const uploaded = options.json ? NO_PROGRESS : uploadProgress(files);
        return {
          batches: batchesOf(files, uploaded),
          send: (producer, batch) => Promise.all(batch.map((file) => send(producer, options, file, uploaded, signal))),
          factsOf: ({ path }) => ({ file: path }),
          nameOf: ({ path }) => path,
          done: 'stored',
          failures: 'table',
          stallHints: readMissingUploadWorker,
          maxWaiting: MAX_WAITING,
          total: files.length,
        };
      }),
    );
}

interface UploadProgress {
  onBytes(count: number): void;
  onFiles(count: number): void;
  end(): void;
}

function uploadProgress(files: readonly FoundFile[]): UploadProgress {
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let readBytes = 0;
  let sentFiles = 0;
  const progress = progressBar('uploaded', {
    countsOf: (bytes, total) =>
      `${sentFiles}/${files.length} files, ${approximateSize(bytes)}/${approximateSize(total)}`,
  });
  return {
    onBytes(count) {
      readBytes += count;
      progress.update(Math.min(readBytes, totalBytes), totalBytes);
    },
    onFiles(count) {
      sentFiles += count;
      if (sentFiles === files.length) progress.end();
    },
    end: () => progress.end(),
  };
}

function* batchesOf(files: readonly FoundFile[], uploaded: UploadProgress): Generator<FoundFile[]> {
  try {
    for (const batch of inBatches(files, CONCURRENCY)) {
      yield batch;
      uploaded.onFiles(batch.length);
    }
  } finally {
    uploaded.end();
  }
}

async function send(
  producer: Producer,
  { tenant, corpus }: EnqueueOptions,
  file: FoundFile,
  uploaded: UploadProgress,
  signal: AbortSignal,
): Promise<SendResult> {
  const { path, filename, bytes } = file;
  // The producer's message would name a field that the command does not have.
  if (bytes === 0) return unreadable('empty');
  // An upload that is aborted here is not queued, and leaves no object.
  const body = createReadStream(path, { signal });
  body.on('data', (chunk) => uploaded.onBytes(chunk.length));
  body.pause();
  try {
    return await producer.enqueueUpload({ tenant, corpus, filename, documentId: path, body, length: bytes });
  } catch (error) {
    // The producer only sees the end of the stream; the file system's error is the cause.
    return asFileError(file, body.errored ?? error);
  } finally {
    body.destroy();
  }
}

function asFileError({ path }: FoundFile, error: unknown): SealdexError {
  if (error instanceof SealdexError && error.field !== 'length') return error;
  if (error instanceof SealdexError)
    return new SealdexError('DOCUMENT_INVALID', `${path} changed while it was being read. Upload it again.`, {
      field: 'body',
    });
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  return new SealdexError('DOCUMENT_INVALID', `Cannot read ${path} (${code}).`, { field: 'body' });
}
