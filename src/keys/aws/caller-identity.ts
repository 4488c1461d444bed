// Identity of the caller of a command: the ARN from STS. The only importer of its SDK. For the audit log only, not for
// authorization.
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { orAbort } from '../../runtime/clock.ts';
import { credentialsOf, type Config } from '../../runtime/config.ts';
import { deadlines } from '../../runtime/deadlines.ts';

export interface Identity {
  /** The ARN; `unknown` if STS does not respond in time, which must not fail a change. */
  arn(): Promise<string>;
  close(): void;
}

const ARN = /^arn:[\w-]+:(iam|sts)::\d{12}:[\w+=,.@/:-]{1,512}$/;

export function createIdentity(config: Config): Identity {
  const client = new STSClient({
    region: config.region,
    maxAttempts: 2,
    requestHandler: new UndiciHttpHandler({
      dispatcher: { connections: 1, connect: { timeout: deadlines.stsMs }, headersTimeout: deadlines.stsMs },
    }),
    ...(config.stsEndpoint === undefined ? {} : { endpoint: config.stsEndpoint }),
    ...credentialsOf(config),
  });
  const requestArn = async (): Promise<string> => {
    const signal = AbortSignal.timeout(deadlines.stsMs);
    try {
      const { Arn = '' } = await orAbort(client.send(new GetCallerIdentityCommand(), { abortSignal: signal }), signal);
      return ARN.test(Arn) ? Arn : 'unknown';
    } catch {
      return 'unknown';
    }
  };
  let cached: Promise<string> | undefined;
  return { arn: () => (cached ??= requestArn()), close: () => client.destroy() };
}
