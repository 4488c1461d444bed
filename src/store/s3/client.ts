// S3 connection: its client and its limits.
import { S3Client } from '@aws-sdk/client-s3';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { credentialsOf, type Config } from '../../runtime/config.ts';
import { deadlines } from '../../runtime/deadlines.ts';

const SILENT = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} });

/** `prompt`: for callers that wait for a response. The caller of a request sets its deadline. */
export function openS3(config: Config, prompt: boolean): S3Client {
  return new S3Client({
    region: config.region,
    forcePathStyle: config.s3ForcePathStyle,
    // Two attempts in total: jobs have their own retries, which would multiply.
    maxAttempts: 2,
    // Without a logger, the SDK prints failed streamed bodies to the console.
    logger: SILENT,
    // The signature already covers a hash of the body; a second checksum costs a fifth of a PUT.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new UndiciHttpHandler({
      dispatcher: {
        // One request per job at a time, and some for other work.
        connections: config.concurrency + config.uploadConcurrency + 8,
        connect: { timeout: prompt ? deadlines.promptMs / 2 : deadlines.s3Ms / 3 },
        // Each request has its own deadline. This limit is for silence within a body.
        headersTimeout: 0,
        bodyTimeout: prompt ? deadlines.promptMs : 3 * deadlines.s3Ms,
        keepAliveTimeout: 20_000,
      },
    }),
    ...(config.s3Endpoint === undefined ? {} : { endpoint: config.s3Endpoint }),
    ...credentialsOf(config),
  });
}
