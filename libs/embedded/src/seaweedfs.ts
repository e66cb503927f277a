/**
 * A real S3 server for `npm start` and the tests: SeaweedFS's `weed mini` (master, volume, filer and S3 in one process).
 *
 * Conditional put, multipart, ranges, copy and checksums work as in S3. It has no bucket notifications of the S3 API; its own
 * filer notification posts JSON to a webhook instead (`webhookUrl`).
 *
 * Delivery of those events: at most once. Seen with 4.48: when the receiver refuses the connection, the event is dropped at
 * once, whatever `max_retries` says; a put never waits for the receiver. Events are hints; the listing is the truth.
 *
 * Configuration: `weed` looks for notification.toml and security.toml in its working directory, then in ~/.seaweedfs and
 * /etc/seaweedfs. It is started in `dataDir` with files of ours and HOME set there, so that no file of the user's can
 * interfere. It reads them once, at start.
 *
 * Access: S3 wants its keys. Unless told not to, the filer lists, writes and deletes every bucket for anybody, any web page
 * included, and a GET of the master deletes a bucket. `-disableHttp` leaves both of them gRPC only. The volume server wants
 * signatures by keys that are made at each start. Only the owner may read the folder. Not closed: gRPC, which no web page
 * can speak, asks other users of this machine for nothing.
 * Not for production: one copy, no TLS, loopback only.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { makePrivateFolder, writePrivateFile } from './private-folder.js';
import { ServerProcess, type NamedPort } from './server-process.js';

/** Every port `weed mini` binds; take ten from `freePorts`, or fix `s3` and take the others from there. */
export interface SeaweedfsPorts {
  s3: number;
  s3Grpc: number;
  master: number;
  masterGrpc: number;
  volume: number;
  volumeGrpc: number;
  filer: number;
  filerGrpc: number;
  admin: number;
  adminGrpc: number;
}

export interface EmbeddedS3Options {
  /** The `weed` binary, from `provisionSeaweedfs`. */
  weed: string;
  /** Everything of this server: `objects/`, `weed.log`, its configuration. Made if absent; keep it to keep the objects. */
  dataDir: string;
  ports: SeaweedfsPorts;
  /** What a user sets to move `ports.s3`; named in `PORT_IN_USE`. */
  portVariable?: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** POST target of filer events, about 0.4 s after a put. Start the receiver first: what it cannot be sent is dropped. */
  webhookUrl?: string;
  /** Sent as `Authorization: Bearer …` with each event. */
  webhookBearerToken?: string;
  /** Buckets whose events are posted. Default: all. */
  webhookBuckets?: string[];
  onUnexpectedExit?: (reason: string) => void;
}

/** `[n0 … n9]` of `freePorts(10)` by name. @throws PipelineError `SETUP_FAILED` when they are fewer. */
export function seaweedfsPorts(ports: number[]): SeaweedfsPorts {
  const [s3, s3Grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc, admin, adminGrpc] = ports;
  if (adminGrpc === undefined) throw new PipelineError('SETUP_FAILED', 'SeaweedFS needs ten ports');
  return { s3, s3Grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc, admin, adminGrpc } as SeaweedfsPorts;
}

export class EmbeddedS3 {
  private readonly server: ServerProcess;
  readonly logFile: string;

  constructor(private readonly options: EmbeddedS3Options) {
    const { dataDir, onUnexpectedExit } = options;
    this.logFile = join(dataDir, 'weed.log');
    this.server = new ServerProcess({ name: 'SeaweedFS', dataDir, logFile: this.logFile, onUnexpectedExit });
  }

  /** As S3_ENDPOINT wants it; path-style addressing, any region. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.options.ports.s3}`;
  }

  get pid(): number | undefined {
    return this.server.pid;
  }

  get isRunning(): boolean {
    return this.server.isRunning;
  }

  /**
   * Resolves, with the milliseconds it took, once the S3 port answers HTTP. May be called again after `stop()`, `kill()` or a crash.
   * @throws PipelineError `PORT_IN_USE`, `DISK_FULL`, `SETUP_FAILED`.
   */
  async start({ timeoutMs = 60_000 }: { timeoutMs?: number } = {}): Promise<number> {
    const { weed, dataDir, accessKeyId, secretAccessKey } = this.options;
    makePrivateFolder(dataDir);
    makePrivateFolder(join(dataDir, 'objects'));
    await this.server.claim(this.namedPorts());
    writePrivateFile(join(dataDir, 'notification.toml'), notificationToml(this.options));
    writePrivateFile(join(dataDir, 'security.toml'), securityToml());
    return this.server.launch({
      command: weed,
      args: ['-logtostderr=true', 'mini', ...this.flags()],
      env: { ...process.env, HOME: dataDir, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
      probe: () => this.probe(),
      timeoutMs,
    });
  }

  /** SIGTERM, SIGKILL after `graceMs`; takes about 4 s. Resolves with the milliseconds. */
  async stop({ graceMs = 10_000 }: { graceMs?: number } = {}): Promise<number> {
    return this.server.stop({ graceMs });
  }

  /** kill -9, for tests of what happens then. */
  async kill(): Promise<void> {
    await this.server.stop({ graceMs: 0 });
  }

  private namedPorts(): NamedPort[] {
    const { ports, portVariable } = this.options;
    return Object.entries(ports).map(([use, port]) =>
      use === 's3' ? { port: Number(port), use: 'S3', variable: portVariable } : { port: Number(port), use: `SeaweedFS (${use})` },
    );
  }

  private flags(): string[] {
    const { ports, dataDir } = this.options;
    return [
      `-dir=${join(dataDir, 'objects')}`,
      '-ip=127.0.0.1',
      '-ip.bind=127.0.0.1',
      '-disableHttp',
      '-filer.disableDirListing',
      `-filer.allowedOrigins=${this.endpoint}`,
      `-s3.allowedOrigins=${this.endpoint}`,
      // Users, keys and roles over the S3 port: the one key pair is all there is.
      '-s3.iam=false',
      `-s3.port=${ports.s3}`,
      `-s3.port.grpc=${ports.s3Grpc}`,
      '-s3.port.iceberg=0',
      '-s3.port.lance=0',
      `-master.port=${ports.master}`,
      `-master.port.grpc=${ports.masterGrpc}`,
      // Each bucket has volumes of its own, and there may be as many as fit the free disk at full size: at its default of
      // 1 GB on a large disk that was 60, and the bucket after that took no object.
      '-master.volumeSizeLimitMB=128',
      `-volume.port=${ports.volume}`,
      `-volume.port.grpc=${ports.volumeGrpc}`,
      `-filer.port=${ports.filer}`,
      `-filer.port.grpc=${ports.filerGrpc}`,
      `-admin.port=${ports.admin}`,
      `-admin.port.grpc=${ports.adminGrpc}`,
      '-admin.ui=false',
      '-webdav=false',
    ];
  }

  /** An unsigned GET is refused with an S3 error once S3 and the filer behind it serve; 5xx means not yet. */
  private async probe(): Promise<void> {
    const response = await fetch(this.endpoint, { signal: AbortSignal.timeout(1_000) });
    const body = await response.text();
    if (response.status >= 500 || !body.includes('<')) throw new Error(`status ${response.status}`);
  }
}

/** `notification.toml` of the filer: where events go, or that they go nowhere. */
function notificationToml({ webhookUrl, webhookBearerToken, webhookBuckets }: EmbeddedS3Options): string {
  if (webhookUrl === undefined) return '[notification.webhook]\nenabled = false\n';
  const prefixes = webhookBuckets?.map((bucket) => `/buckets/${bucket}/`);
  const lines = [
    '[notification.webhook]',
    'enabled = true',
    `endpoint = ${JSON.stringify(webhookUrl)}`,
    `bearer_token = ${JSON.stringify(webhookBearerToken ?? '')}`,
    'event_types = ["create", "update", "delete", "rename"]',
    'timeout_seconds = 10',
    'workers = 5',
    'buffer_size = 10000',
  ];
  if (prefixes) lines.push(`path_prefixes = ${JSON.stringify(prefixes)}`);
  return `${lines.join('\n')}\n`;
}

/** `security.toml`: who has none of these keys can neither read nor write by HTTP past S3. */
function securityToml(): string {
  const sections = ['jwt.signing', 'jwt.signing.read', 'jwt.filer_signing', 'jwt.filer_signing.read'];
  const keys = sections.map((section) => `[${section}]\nkey = "${randomBytes(32).toString('hex')}"\nexpires_after_seconds = 60\n`);
  return [...keys, '[access]\nui = false\n', '[filer.expose_directory_metadata]\nenabled = false\n'].join('\n');
}
