// Who runs a command, as AWS names them: the ARN that STS answers with. The only importer of its SDK.
// For the record only: nobody's rights are decided by it.
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { orAbort } from '../../runtime/clock.ts';
import { credentialsOf, type Config } from '../../runtime/config.ts';
import { deadlines } from '../../runtime/deadlines.ts';

export interface Identity {
  /** The ARN; `unknown` when STS does not answer in time: a change is not refused for that. */
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
  const ask = async (): Promise<string> => {
    const signal = AbortSignal.timeout(deadlines.stsMs);
    try {
      const { Arn = '' } = await orAbort(client.send(new GetCallerIdentityCommand(), { abortSignal: signal }), signal);
      return ARN.test(Arn) ? Arn : 'unknown';
    } catch {
      return 'unknown';
    }
  };
  let asked: Promise<string> | undefined;
  return { arn: () => (asked ??= ask()), close: () => client.destroy() };
}
