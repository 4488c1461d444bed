// How we connect to S3. Which requests are made is the business of the files beside it.
import { S3Client } from '@aws-sdk/client-s3';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { credentialsOf, type Config } from '../../runtime/config.ts';
import { deadlines } from '../../runtime/deadlines.ts';

const SILENT = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} });

/** `prompt`: for callers who wait for an answer. Requests without an answer are ended by whoever makes them. */
export function openS3(config: Config, prompt: boolean): S3Client {
  return new S3Client({
    region: config.region,
    forcePathStyle: config.s3ForcePathStyle,
    // Two attempts in all: jobs have their own retries, and the two must not multiply.
    maxAttempts: 2,
    // Without one the SDK tells the console of streamed bodies that failed.
    logger: SILENT,
    // The signature covers a hash of the body already; a second checksum costs a fifth of a PUT.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new UndiciHttpHandler({
      dispatcher: {
        // Each job has one request at a time, and what goes on beside jobs has some.
        connections: config.concurrency + config.uploadConcurrency + 8,
        connect: { timeout: prompt ? deadlines.promptMs / 2 : deadlines.s3Ms / 3 },
        // The deadline of a request is its sender's; this is for the silence within a body.
        headersTimeout: 0,
        bodyTimeout: prompt ? deadlines.promptMs : 3 * deadlines.s3Ms,
        keepAliveTimeout: 20_000,
      },
    }),
    ...(config.s3Endpoint === undefined ? {} : { endpoint: config.s3Endpoint }),
    ...credentialsOf(config),
  });
}
