// An OpenID provider for the tests: oidc-provider, whose log-in page lets in whoever it is told to.
//
//     node provider.mjs PACKAGES PORT REDIRECT_URI
//
// `PUT /control {"sub", "email_verified", "forge"}` says who is let in next and how the ID token is spoiled on its way:
// a claim's name with its value, or one of the tricks below. It ends when its stdin does.

import { createRequire } from 'node:module';
import { createHmac, createPublicKey, generateKeyPairSync, createSign, createPrivateKey } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import http from 'node:http';

const [packages, port, redirectUri] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const issuer = `http://127.0.0.1:${port}`;
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...signing.privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' };

let control = { sub: 'nobody', email_verified: true, forge: null };

const provider = new Provider(issuer, {
    clients: [{
        client_id: 'rollcall',
        client_secret: 'canary-sso-secret+/=%',
        redirect_uris: [redirectUri],
    }],
    jwks: { keys: [jwk] },
    cookies: { keys: ['tests'] },
    pkce: { required: () => true },
    conformIdTokenClaims: false,
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/let-in/${interaction.uid}` },
    findAccount: (_, sub) => ({
        accountId: sub,
        claims: () => ({ sub, email: `${sub}@idp.example`, email_verified: control.email_verified }),
    }),
    ttl: { Session: 1, Interaction: 600, Grant: 600, IdToken: 600, AccessToken: 600, AuthorizationCode: 60 },
});

const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const sign = (header, claims, key) => {
    const text = `${part(header)}.${part(claims)}`;
    return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
};

function forge(token, how) {
    const [header, claims, signature] = token.split('.');
    const read = (text) => JSON.parse(Buffer.from(text, 'base64url'));
    if (typeof how === 'object') return sign(read(header), { ...read(claims), ...how }, signing.privateKey);
    const publicPem = createPublicKey(signing.publicKey.export({ type: 'spki', format: 'pem' })).export({ type: 'spki', format: 'pem' });
    switch (how) {
        case 'alg none': return `${part({ alg: 'none', kid: 'k1' })}.${claims}.`;
        case 'alg none with signature': return `${part({ alg: 'none', kid: 'k1' })}.${claims}.${signature}`;
        case 'hmac of the public key': {
            const text = `${part({ alg: 'HS256', kid: 'k1' })}.${claims}`;
            return `${text}.${createHmac('sha256', publicPem).update(text).digest('base64url')}`;
        }
        case 'foreign key': return sign(read(header), read(claims), foreign.privateKey);
        case 'unknown key': return sign({ ...read(header), kid: 'k9' }, read(claims), foreign.privateKey);
        case 'own key in the header':
            return sign({ ...read(header), kid: 'k9', jwk: foreign.publicKey.export({ format: 'jwk' }) }, read(claims), foreign.privateKey);
        case 'changed claims': return `${header}.${part({ ...read(claims), sub: 'admin' })}.${signature}`;
        case 'no token': return undefined;
        case 'garbage': return 'a.b.c';
        default: throw new Error(how);
    }
}

provider.use(async (ctx, next) => {
    await next();
    if (ctx.path === '/token' && ctx.body?.id_token && control.forge) {
        ctx.body.id_token = forge(ctx.body.id_token, control.forge);
    }
});

const answer = provider.callback();
http.createServer(async (request, response) => {
    if (request.method === 'PUT' && request.url === '/control') {
        let body = '';
        for await (const chunk of request) body += chunk;
        control = { email_verified: true, forge: null, ...JSON.parse(body) };
        response.end();
        return;
    }
    if (request.url.startsWith('/let-in/')) {
        try {
            const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
            if (control.sub === null) {
                await provider.interactionFinished(request, response, { error: 'access_denied' });
                return;
            }
            if (prompt.name === 'login') {
                await provider.interactionFinished(request, response, { login: { accountId: control.sub, remember: false } });
                return;
            }
            const grant = grantId
                ? await provider.Grant.find(grantId)
                : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
            grant.addOIDCScope('openid email');
            await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
        } catch (error) {
            response.statusCode = 500;
            response.end(String(error.stack));
        }
        return;
    }
    answer(request, response);
}).listen(Number(port), '127.0.0.1', () => console.log('listening'));

process.stdin.resume().on('end', () => process.exit(0));
