// S3 requests for older versions, delete markers and unfinished uploads.
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  type DeleteMarkerEntry,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { ObjectVersion, Versions, VersionSpot } from '../store.ts';
import { statusOf } from './s3-error-mapping.ts';

/** Sends a request as in s3-store.ts: with a deadline and typed errors. */
export type Send = <T>(
  bytes: number | undefined,
  signal: AbortSignal | undefined,
  request: (options: { abortSignal: AbortSignal }) => Promise<T>,
  expected?: (error: unknown) => { answer: T } | undefined,
) => Promise<T>;

const nextOf = (isTruncated = false, key?: string, id = ''): { next?: VersionSpot } =>
  isTruncated && key !== undefined ? { next: { key, id } } : {};

const goneAnswer = (error: unknown): { answer: undefined } | undefined =>
  statusOf(error) === 404 && (error as Error).name !== 'NoSuchBucket' ? { answer: undefined } : undefined;

export const versionsOf = (client: S3Client, Bucket: string, send: Send): Versions => ({
  async listVersions(Prefix, { after, signal } = {}) {
    const from = after === undefined ? {} : { KeyMarker: after.key, VersionIdMarker: after.id };
    const command = new ListObjectVersionsCommand({ Bucket, Prefix, ...from });
    const page = await send(0, signal, (options) => client.send(command, options));
    const { Versions = [], DeleteMarkers = [], IsTruncated, NextKeyMarker, NextVersionIdMarker } = page;
    const found = ({ Key = '', VersionId = 'null' }: DeleteMarkerEntry, isCurrent = false): ObjectVersion => ({
      key: Key,
      versionId: VersionId,
      isCurrent,
    });
    return {
      versions: [
        ...Versions.map((each) => found(each, each.IsLatest)),
        ...DeleteMarkers.map((marker) => found(marker)),
      ],
      ...nextOf(IsTruncated, NextKeyMarker, NextVersionIdMarker),
    };
  },

  removeVersion: ({ key: Key, versionId: VersionId }, signal) =>
    send(
      0,
      signal,
      async (options) => void (await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }), options)),
      goneAnswer,
    ),

  async listUploads(Prefix, { after, signal } = {}) {
    const from = after === undefined ? {} : { KeyMarker: after.key, UploadIdMarker: after.id };
    const command = new ListMultipartUploadsCommand({ Bucket, Prefix, ...from });
    const page = await send(0, signal, (options) => client.send(command, options));
    const { Uploads = [], IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
    return {
      uploads: Uploads.map(({ Key = '', UploadId = '' }) => ({ key: Key, uploadId: UploadId })),
      ...nextOf(IsTruncated, NextKeyMarker, NextUploadIdMarker),
    };
  },

  abortUpload: ({ key: Key, uploadId: UploadId }, signal) =>
    send(
      0,
      signal,
      async (options) => void (await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), options)),
      goneAnswer,
    ),
});
