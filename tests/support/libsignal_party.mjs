// One side of a conversation with the official libsignal: its private stores, filled from a Device
// that uploaded the public halves.
import assert from 'node:assert/strict';
import { b64, signal as S, unb64 } from './keys.mjs';

const bytesOf = (text) => new Uint8Array(unb64(text));
const utf8 = (text) => new Uint8Array(Buffer.from(text, 'utf8'));

export class LibsignalParty {
    constructor(name, identity, registrationId) {
        this.address = S.ProtocolAddress.new(name, 1);
        this.identity = identity;
        this.registrationId = registrationId;
        this.sessions = new Map();
        this.trusted = new Map();
        this.preKeys = new Map();
        this.signedPreKeys = new Map();
        this.kyberPreKeys = new Map();
        this.kyberOneTime = new Set();
        this.baseKeysSeen = new Set();
        this.removedPreKeys = [];
        this.usedKyberPreKeys = [];
        this.makeStores();
    }

    static fresh(name, registrationId = 77) {
        return new LibsignalParty(name, S.IdentityKeyPair.generate(), registrationId);
    }

    // `lastResortId` stays; every other KEM key of the device is good once.
    static fromDevice(device, name) {
        const { private: key } = device.identity;
        const identity = new S.IdentityKeyPair(key.getPublicKey(), key);
        const party = new LibsignalParty(name, identity, device.registrationId);
        const now = Date.now();
        for (const [slot, secret] of device.secrets) {
            const [kind, text] = slot.split('/');
            const id = Number(text);
            const publicKey = secret.getPublicKey();
            const signed = () => key.sign(publicKey.serialize());
            if (kind === 'ec') {
                const record = S.PreKeyRecord.new(id, publicKey, secret);
                party.preKeys.set(id, record.serialize());
            } else if (kind === 'spk') {
                const record = S.SignedPreKeyRecord.new(id, now, publicKey, secret, signed());
                party.signedPreKeys.set(id, record.serialize());
            } else {
                const record = S.KyberPreKeyRecord.new(id, now, secret, signed());
                party.kyberPreKeys.set(id, record.serialize());
                if (id !== device.kemLastResortPreKey.keyId) {
                    party.kyberOneTime.add(id);
                }
            }
        }
        return party;
    }

    makeStores() {
        const self = this;
        const take = (map, id, type) => {
            if (!map.has(id)) {
                throw new Error(`no key ${id}`);
            }
            return type.deserialize(map.get(id));
        };
        this.sessionStore = new (class extends S.SessionStore {
            async saveSession(address, record) {
                self.sessions.set(address.toString(), record.serialize());
            }
            async getSession(address) {
                const record = self.sessions.get(address.toString());
                return record ? S.SessionRecord.deserialize(record) : null;
            }
            async getExistingSessions(addresses) {
                return addresses.map((address) =>
                    S.SessionRecord.deserialize(self.sessions.get(address.toString())),
                );
            }
        })();
        this.identityStore = new (class extends S.IdentityKeyStore {
            async getIdentityKey() {
                return self.identity.privateKey;
            }
            async getIdentityKeyPair() {
                return self.identity;
            }
            async getLocalRegistrationId() {
                return self.registrationId;
            }
            async saveIdentity(address, key) {
                const old = self.trusted.get(address.toString());
                self.trusted.set(address.toString(), key.serialize());
                return old && !Buffer.from(old).equals(Buffer.from(key.serialize()))
                    ? S.IdentityChange.ReplacedExisting
                    : S.IdentityChange.NewOrUnchanged;
            }
            async isTrustedIdentity(address, key) {
                const old = self.trusted.get(address.toString());
                return !old || Buffer.from(old).equals(Buffer.from(key.serialize()));
            }
            async getIdentity(address) {
                const key = self.trusted.get(address.toString());
                return key ? S.PublicKey.deserialize(key) : null;
            }
        })();
        this.preKeyStore = new (class extends S.PreKeyStore {
            async savePreKey(id, record) {
                self.preKeys.set(id, record.serialize());
            }
            async getPreKey(id) {
                return take(self.preKeys, id, S.PreKeyRecord);
            }
            async removePreKey(id) {
                self.removedPreKeys.push(id);
                self.preKeys.delete(id);
            }
        })();
        this.signedPreKeyStore = new (class extends S.SignedPreKeyStore {
            async saveSignedPreKey(id, record) {
                self.signedPreKeys.set(id, record.serialize());
            }
            async getSignedPreKey(id) {
                return take(self.signedPreKeys, id, S.SignedPreKeyRecord);
            }
        })();
        this.kyberStore = new (class extends S.KyberPreKeyStore {
            async saveKyberPreKey(id, record) {
                self.kyberPreKeys.set(id, record.serialize());
            }
            async getKyberPreKey(id) {
                return take(self.kyberPreKeys, id, S.KyberPreKeyRecord);
            }
            // As real clients do: one-time keys go, a last-resort key refuses a repeated base key.
            async markKyberPreKeyUsed(id, ecId, baseKey) {
                self.usedKyberPreKeys.push(id);
                if (self.kyberOneTime.has(id)) {
                    self.kyberPreKeys.delete(id);
                    return;
                }
                const seen = `${id}/${ecId}/${b64(baseKey.serialize())}`;
                if (self.baseKeysSeen.has(seen)) {
                    throw new Error('replayed base key on a last-resort prekey');
                }
                self.baseKeysSeen.add(seen);
            }
        })();
    }

    // A session towards `peer` from the bundle JSON of the server.
    async startSession(bundle, peer) {
        const { oneTimePreKey, signedPreKey, kemPreKey } = bundle;
        const parsed = S.PreKeyBundle.new(
            bundle.registrationId,
            peer.deviceId(),
            oneTimePreKey ? oneTimePreKey.keyId : null,
            oneTimePreKey ? S.PublicKey.deserialize(bytesOf(oneTimePreKey.publicKey)) : null,
            signedPreKey.keyId,
            S.PublicKey.deserialize(bytesOf(signedPreKey.publicKey)),
            bytesOf(signedPreKey.signature),
            S.PublicKey.deserialize(bytesOf(bundle.identityKey)),
            kemPreKey.keyId,
            S.KEMPublicKey.deserialize(bytesOf(kemPreKey.publicKey)),
            bytesOf(kemPreKey.signature),
        );
        await S.processPreKeyBundle(
            parsed,
            peer,
            this.address,
            this.sessionStore,
            this.identityStore,
        );
    }

    async encrypt(text, peer) {
        const message = await S.signalEncrypt(
            utf8(text),
            peer,
            this.address,
            this.sessionStore,
            this.identityStore,
        );
        return { type: message.type(), bytes: message.serialize() };
    }

    async decrypt({ type, bytes }, peer) {
        if (type === S.CiphertextMessageType.PreKey) {
            const message = S.PreKeySignalMessage.deserialize(bytes);
            const plain = await S.signalDecryptPreKey(
                message,
                peer,
                this.address,
                this.sessionStore,
                this.identityStore,
                this.preKeyStore,
                this.signedPreKeyStore,
                this.kyberStore,
            );
            return { text: Buffer.from(plain).toString('utf8'), preKeyId: message.preKeyId() };
        }
        assert.equal(type, S.CiphertextMessageType.Whisper);
        const plain = await S.signalDecrypt(
            S.SignalMessage.deserialize(bytes),
            peer,
            this.address,
            this.sessionStore,
            this.identityStore,
        );
        return { text: Buffer.from(plain).toString('utf8') };
    }
}
