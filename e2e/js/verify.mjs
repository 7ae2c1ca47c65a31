// Verifies receipts with stock @sigstore/verify. Reads one JSON job a line from
// standard input and answers each with one line:
//   {"receipt","trustedRoot","key","file"} → {"ok":true} or {"ok":false,"error":"…"}
// The library compares no file with the statement: a caller has to, as here.
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

function verify({ receipt, trustedRoot, key, file }) {
  const bundle = bundleFromJSON(json(receipt));
  const rawBytes = createPublicKey(readFileSync(key)).export({ type: 'spki', format: 'der' });
  const keyID = createHash('sha256').update(rawBytes).digest('hex');
  const trust = toTrustMaterial(TrustedRoot.fromJSON(json(trustedRoot)), { [keyID]: { rawBytes } });
  new Verifier(trust, { timestampThreshold: 0, ctlogThreshold: 0, tlogThreshold: 1 }).verify(toSignedEntity(bundle));

  const statement = JSON.parse(bundle.content.dsseEnvelope.payload.toString('utf8'));
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  if (!statement.subject.some((s) => s.digest.sha256 === sha256)) {
    throw new Error('the file is not a subject of the statement');
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer = { ok: true };
  try {
    verify(JSON.parse(line));
  } catch (err) {
    answer = { ok: false, error: String(err.message ?? err) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
