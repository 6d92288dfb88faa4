// The mark and the few icons, drawn on a 20 unit grid in the colour of the text. All are decoration:
// what they mean is always written beside them or in a label.
import type { ComponentChildren } from 'preact';

function Icon({ children }: { children: ComponentChildren }) {
    return (
        <svg
            class="icon"
            viewBox="0 0 20 20"
            fill="none"
            stroke="currentColor"
            stroke-width="1.6"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
        >
            {children}
        </svg>
    );
}

export function Mark({ size = 26 }: { size?: number }) {
    return (
        <svg class="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
            <rect class="mark-ground" width="32" height="32" rx="8" />
            <path class="mark-arch" d="M8.5 24V14a7.5 7.5 0 0 1 15 0v10" />
            <path class="mark-key" d="M16 24v-8.5" />
        </svg>
    );
}

export const IconSun = () => (
    <Icon>
        <circle cx="10" cy="10" r="3.4" />
        <path d="M10 2.2v1.6M10 16.2v1.6M2.2 10h1.6M16.2 10h1.6M4.5 4.5l1.1 1.1M14.4 14.4l1.1 1.1M4.5 15.5l1.1-1.1M14.4 5.6l1.1-1.1" />
    </Icon>
);

export const IconMoon = () => (
    <Icon>
        <path d="M16.6 12.2A7 7 0 0 1 7.8 3.4a7 7 0 1 0 8.8 8.8z" />
    </Icon>
);

export const IconSystem = () => (
    <Icon>
        <circle cx="10" cy="10" r="7" />
        <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
    </Icon>
);

export const IconLock = () => (
    <Icon>
        <rect x="4.2" y="9" width="11.6" height="8" rx="1.8" />
        <path d="M6.8 9V6.4a3.2 3.2 0 0 1 6.4 0V9" />
    </Icon>
);

export const IconWarning = () => (
    <Icon>
        <path d="M10 3.2 17.6 16.4H2.4z" />
        <path d="M10 8.4v3.6M10 14.2v.1" />
    </Icon>
);

export const IconCritical = () => (
    <Icon>
        <path d="M6.9 2.8h6.2l4.1 4.1v6.2l-4.1 4.1H6.9l-4.1-4.1V6.9z" />
        <path d="M10 6.4v4.4M10 13.4v.1" />
    </Icon>
);

export const IconNotice = () => (
    <Icon>
        <circle cx="10" cy="10" r="7.2" />
        <path d="M10 9.2v4.4M10 6.4v.1" />
    </Icon>
);

export const IconCheck = () => (
    <Icon>
        <circle cx="10" cy="10" r="7.2" />
        <path d="m6.8 10.3 2.2 2.2 4.3-4.7" />
    </Icon>
);

export const IconPause = () => (
    <Icon>
        <path d="M7 4.5v11M13 4.5v11" />
    </Icon>
);

export const IconPlay = () => (
    <Icon>
        <path d="M6.5 4.2v11.6l9-5.8z" />
    </Icon>
);

export const IconCopy = () => (
    <Icon>
        <rect x="7" y="7" width="9.4" height="9.4" rx="1.8" />
        <path d="M13 4.4a1.8 1.8 0 0 0-1.6-.8H5.4a1.8 1.8 0 0 0-1.8 1.8v6c0 .7.3 1.3.9 1.6" />
    </Icon>
);
