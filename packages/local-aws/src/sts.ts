// Local STS: GetCallerIdentity for @aws-sdk/client-sts. Part of the local KMS, at the same address.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { callerOf } from './iam/caller.ts';

export const isSts = ({ headers }: IncomingMessage): boolean =>
  headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;

/** Responds as GetCallerIdentity to every action. */
export function respondSts(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const { arn, account } = callerOf(request.headers.authorization);
  const result = `<Arn>${arn}</Arn><UserId>local</UserId><Account>${account}</Account>`;
  const body = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>${result}</GetCallerIdentityResult><ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata></GetCallerIdentityResponse>`;
  response.writeHead(200, { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
