// oidc-provider, a certified OpenID provider: client credentials, refresh tokens that are used once,
// devices. Port and secret come from the command line. What a person does in a browser is done by
// POST /test/login and POST /test/approve?user_code=...
import Provider from "oidc-provider";

const [port, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const RESOURCE = "urn:feed";

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "me",
      client_secret: secret,
      grant_types: ["client_credentials", "refresh_token", "authorization_code"],
      redirect_uris: [`${issuer}/back`],
      response_types: ["code"],
    },
    {
      client_id: "notebook",
      token_endpoint_auth_method: "none",
      application_type: "native",
      grant_types: [DEVICE, "refresh_token"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "feed",
        accessTokenFormat: "opaque",
        accessTokenTTL: 600,
      }),
    },
  },
  scopes: ["openid", "offline_access", "feed"],
  rotateRefreshToken: true,
  ttl: { AccessToken: 600, ClientCredentials: 600, RefreshToken: 3600, DeviceCode: 600, Grant: 3600 },
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

async function granted(clientId) {
  const grant = new provider.Grant({ clientId, accountId: "alice" });
  grant.addOIDCScope("openid offline_access");
  grant.addResourceScope(RESOURCE, "feed");
  return grant.save();
}

const scopes = "openid offline_access feed";
provider.use(async (context, next) => {
  if (context.path === "/test/login") {
    const client = await provider.Client.find("me");
    const grantId = await granted("me");
    const token = new provider.RefreshToken({
      client, accountId: "alice", grantId, scope: scopes, gty: "authorization_code", claims: {},
      resource: RESOURCE, authTime: 1, acr: "0", amr: [],
    });
    context.body = { refresh_token: await token.save() };
  } else if (context.path === "/test/approve") {
    const userCode = context.query.user_code.replaceAll("-", "");
    const code = await provider.DeviceCode.findByUserCode(userCode);
    code.accountId = "alice";
    code.grantId = await granted("notebook");
    code.scope = scopes;
    code.claims = {};
    code.authTime = 1;
    code.resource = RESOURCE;
    await code.save();
    context.body = {};
  } else {
    await next();
  }
});

provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
