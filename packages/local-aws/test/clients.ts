// The real SDK clients, pointed to the embedded servers, without retries of their own.
import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import type { KmsServer } from '../src/kms/server.ts';
import type { S3Server } from '../src/s3/server.ts';

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };

export const kmsClient = ({ endpoint, region }: KmsServer): KMSClient =>
  new KMSClient({ endpoint, region, credentials, maxAttempts: 1 });

export const s3Client = ({ endpoint }: S3Server): S3Client =>
  new S3Client({ endpoint, region: 'us-west-2', credentials, forcePathStyle: true, maxAttempts: 1 });
