// Where the services lie, seen from the address of the console. Each serves the console at a place of
// its own; running together they lie beside each other under their names (/prekeys, /broker), and the
// console of one shows the pages of all.

const homes = { prekeys: 'shade-observer/dashboard/', broker: 'observer/' } as const;
export type Service = keyof typeof homes;

// The root of a service, with a slash at its end; null when it cannot be reached from here.
export function placeOf(service: Service, page: URL): URL | null {
    const home = homeOf(page);
    const path = new URL('.', page).pathname;
    const root = path.slice(0, path.length - homes[home].length);
    if (home === service) {
        return new URL(root, page);
    }
    const own = `/${home}/`;
    return root.endsWith(own) ? new URL(`${root.slice(0, -own.length)}/${service}/`, page) : null;
}

// Whose console this is.
export function homeOf(page: URL): Service {
    const path = new URL('.', page).pathname;
    const names = Object.keys(homes) as Service[];
    return names.find((name) => path.endsWith(`/${homes[name]}`)) ?? 'prekeys';
}
