// Api: the prekey server as a client sees it. Every answer is checked against the API description
// before a test gets to see it.
import { exchange, EventStream, HttpResponse, rawExchange } from './http.mjs';
import { ApiDescription } from './openapi.mjs';

export * from './canonical.mjs';
export * from './device.mjs';
export * from './http.mjs';
export * from './keys.mjs';

let description;
const described = () => {
    description ??= ApiDescription.load();
    return description;
};

export class Api {
    constructor(baseUrl, { prefix = '', headers = {}, audience = '', transport } = {}) {
        this.baseUrl = baseUrl;
        this.transport = transport; // of TLS: ca, localAddress
        this.prefix = prefix;
        this.headers = headers;
        this.audience = audience;
    }

    // The same server seen from another client address or with other standing headers.
    with(headers) {
        return new Api(this.baseUrl, { ...this, headers: { ...this.headers, ...headers } });
    }

    check(method, target, response) {
        const path = target.startsWith(this.prefix) ? target.slice(this.prefix.length) : target;
        described().check(method, path, response);
        return response;
    }

    // `json` is serialised, `body` (Buffer or string) is sent as it is.
    async request(method, path, { json, body, headers = {}, contentType, deadlineMs } = {}) {
        const bytes = bodyBytes(json, body);
        const type = contentType ?? (json !== undefined ? 'application/json' : undefined);
        const target = this.prefix + path;
        const response = await exchange(this.baseUrl, method, target, {
            body: bytes,
            headers: { ...(type ? { 'Content-Type': type } : {}), ...this.headers, ...headers },
            deadlineMs,
            transport: this.transport,
        });
        return this.check(method, target, response);
    }

    // Request bytes no library would send; null when the server closed without an answer.
    async raw(method, path, bytes, options) {
        const response = await rawExchange(this.baseUrl, bytes, options);
        return response && this.check(method, this.prefix + path, response);
    }

    async stream(path, { headers = {}, deadlineMs } = {}) {
        const target = this.prefix + path;
        const stream = await EventStream.open(this.baseUrl, target, {
            headers: { ...this.headers, ...headers },
            deadlineMs,
            transport: this.transport,
        });
        if (stream.status !== 200) {
            await stream.ended();
            stream.response = new HttpResponse(
                stream.status,
                stream.headers,
                Buffer.from(stream.raw, 'utf8'),
            );
            this.check('GET', target, stream.response);
        }
        return stream;
    }

    // A signed request by scheme B. `sign` overrides what is signed (for attacks).
    signed(device, method, path, { json, body, headers = {}, sign = {}, deadlineMs } = {}) {
        const bytes = bodyBytes(json, body);
        const { method: signedMethod = method, target = this.prefix + path, ...rest } = sign;
        const authentication = device.requestHeaders(
            signedMethod,
            target,
            sign.bodyBytes ?? bytes,
            { audience: this.audience, ...rest },
        );
        return this.request(method, path, {
            body: bytes,
            contentType: bytes ? 'application/json' : undefined,
            headers: { ...authentication, ...headers },
            deadlineMs,
        });
    }

    // A write by scheme A (default) or B.
    write(device, method, path, body, { scheme = 'A', signedAt, ...options } = {}) {
        if (scheme === 'A') {
            const sealed = device.seal(body, signedAt === undefined ? {} : { signedAt });
            return this.request(method, path, { json: sealed, ...options });
        }
        const sign = {
            ...options.sign,
            ...(signedAt === undefined ? {} : { timestamp: signedAt }),
        };
        return this.signed(device, method, path, { json: body, ...options, sign });
    }

    register(device, { scheme, signedAt, sign, ...options } = {}) {
        const body = device.registration(options);
        return this.write(device, 'POST', '/v1/keys/register', body, { scheme, signedAt, sign });
    }

    replenish(device, { scheme, signedAt, sign, ...members } = {}) {
        const body = { address: device.address, oneTimePreKeys: [], ...members };
        return this.write(device, 'POST', '/v1/keys/replenish', body, { scheme, signedAt, sign });
    }

    rotateSignedPreKey(device, { scheme, signedAt, sign, ...members } = {}) {
        const body = { address: device.address, ...members };
        return this.write(device, 'PUT', '/v1/keys/signed-prekey', body, {
            scheme,
            signedAt,
            sign,
        });
    }

    bundle(address, { headers, deadlineMs } = {}) {
        const path = `/v1/keys/bundle/${encodeURIComponent(address)}`;
        return this.request('GET', path, { headers, deadlineMs });
    }

    // The bundle as fetched by a registered requester.
    bundleAs(requester, address) {
        return this.signed(requester, 'GET', `/v1/keys/bundle/${encodeURIComponent(address)}`);
    }

    claim(claims, { headers, deadlineMs } = {}) {
        return this.request('POST', '/v1/keys/claim', { json: { claims }, headers, deadlineMs });
    }

    claimAs(requester, claims, options = {}) {
        return this.signed(requester, 'POST', '/v1/keys/claim', { json: { claims }, ...options });
    }

    identityOf(address) {
        return this.request('GET', `/v1/keys/identity/${encodeURIComponent(address)}`);
    }

    checkDigest(address, digest) {
        return this.request('POST', '/v1/keys/check', { json: { address, digest } });
    }

    count(device, options = {}) {
        const path = `/v1/keys/count/${encodeURIComponent(device.address)}`;
        return this.signed(device, 'GET', path, options);
    }

    delete(device, { scheme = 'B', signedAt, ...options } = {}) {
        const path = `/v1/keys/${encodeURIComponent(device.address)}`;
        if (scheme === 'B') {
            return this.signed(device, 'DELETE', path, options);
        }
        const sealed = device.seal(
            { address: device.address },
            signedAt === undefined ? {} : { signedAt },
        );
        return this.request('DELETE', path, { json: sealed });
    }

    // Metrics as a map from 'name{label="value",...}' to number.
    async metrics(headers = {}) {
        const response = await this.request('GET', '/metrics', { headers });
        return parseMetrics(response.text);
    }
}

function bodyBytes(json, body) {
    if (json !== undefined) {
        return Buffer.from(JSON.stringify(json), 'utf8');
    }
    return body === undefined ? undefined : Buffer.from(body);
}

export function parseMetrics(text) {
    const samples = new Map();
    for (const line of text.split('\n')) {
        const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
        if (match) {
            const labels = [...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
                .map(([, name, value]) => `${name}="${value}"`)
                .sort();
            const key = labels.length > 0 ? `${match[1]}{${labels.join(',')}}` : match[1];
            samples.set(key, Number(match[3]));
        }
    }
    return samples;
}
