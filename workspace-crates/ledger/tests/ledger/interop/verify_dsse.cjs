// Verifies a DSSE envelope with @sigstore/verify and a public key: verify_dsse.cjs ENVELOPE KEY_PEM.
const fs = require('node:fs');
const crypto = require('node:crypto');
const { bundleFromJSON } = require('@sigstore/bundle');
const { Verifier, toSignedEntity } = require('@sigstore/verify');

const envelope = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const bundle = bundleFromJSON({
  mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  verificationMaterial: { publicKey: { hint: 'evaluator' }, tlogEntries: [], timestampVerificationData: { rfc3161Timestamps: [] } },
  dsseEnvelope: envelope,
});
const key = crypto.createPublicKey(fs.readFileSync(process.argv[3]));
const trust = {
  certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [],
  publicKey: (hint) => ({ publicKey: key, validFor: () => true }),
};
const verifier = new Verifier(trust, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 });
try {
  verifier.verify(toSignedEntity(bundle));
  console.log('sigstore accepts');
} catch (error) {
  console.log(error.code === 'SIGNATURE_ERROR' ? 'sigstore refuses' : `sigstore fails: ${error.stack}`);
}
