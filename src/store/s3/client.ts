// S3 connection: its client and its limits.
import { S3Client, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { credentialsOf, type Config } from '../../runtime/config.ts';
import { deadlines } from '../../runtime/deadlines.ts';

const SILENT = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} });

/** Date headers by output: the SDK does not return them. */
const dates = new WeakMap<object, string>();

/** `prompt`: for callers that wait for a response. The caller of a request sets its deadline. */
export function openS3(config: Config, prompt: boolean): S3Client {
  const client = new S3Client({
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
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { headers?: Record<string, string> };
      if (result.output && headers?.['date'] !== undefined) dates.set(result.output, headers['date']);
      return result;
    },
    { step: 'deserialize', priority: 'high', name: 'keepDate' },
  );
  return client;
}

/** Time of S3 when it responded, in milliseconds, to the second. */
export function servedAt(output: GetObjectCommandOutput): number | undefined {
  const time = Date.parse(dates.get(output) ?? '');
  return Number.isNaN(time) ? undefined : time;
}
