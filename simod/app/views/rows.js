/**
 * A long list that only creates the rows on the screen. Each kind of row has a fixed height, so that positions are known
 * without measuring.
 */
import { el } from "../dom.js";

/** Extra rows above and below the screen. */
const MORE = 8;

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {number} height in rem
 * @property {string} look changes when the row has to be redrawn
 * @property {boolean} [heading]
 * @property {() => HTMLElement} draw its content
 */

/**
 * @param {{end: () => void}} asked `end`: the last rows are near
 */
export function rows({ end }) {
    const inner = el("ul", { class: "rows", role: "list" });
    const node = el("div", { class: "scroll" }, inner);
    /** @type {Row[]} */
    let all = [];
    /** Where each row begins, in pixels, and where the last one ends. @type {number[]} */
    let tops = [0];
    /** @type {Map<string, {node: HTMLElement, look: string}>} */
    const drawn = new Map();
    let scheduled = false;

    const rowAt = (/** @type {number} */ y) => {
        let low = 0;
        let high = all.length;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (tops[middle + 1] <= y) low = middle + 1;
            else high = middle;
        }
        return low;
    };

    const draw = () => {
        scheduled = false;
        const first = Math.max(0, rowAt(node.scrollTop) - MORE);
        const last = Math.min(all.length, rowAt(node.scrollTop + node.clientHeight) + MORE);
        const wanted = new Set();
        for (let at = first; at < last; at++) wanted.add(all[at].key);
        for (const [key, { node }] of drawn) {
            if (wanted.has(key)) continue;
            node.remove();
            drawn.delete(key);
        }
        /** @type {Element | null} */
        let before = inner.firstElementChild;
        for (let at = first; at < last; at++) {
            const item = itemOf(all[at]);
            item.style.transform = `translateY(${tops[at]}px)`;
            item.style.height = `${tops[at + 1] - tops[at]}px`;
            // In screen order, which is also the order of Tab.
            if (item === before) before = before.nextElementSibling;
            else inner.insertBefore(item, before);
        }
        if (last > all.length - 2 * MORE) end();
    };

    const itemOf = (/** @type {Row} */ row) => {
        const known = drawn.get(row.key);
        if (known?.look === row.look) return known.node;
        const item = known?.node ?? el("li", { class: row.heading ? "day" : "row" });
        const focused = item.contains(document.activeElement);
        item.replaceChildren(row.draw());
        if (focused) item.querySelector("a")?.focus({ preventScroll: true });
        drawn.set(row.key, { node: item, look: row.look });
        return item;
    };

    const schedule = () => {
        if (scheduled) return;
        scheduled = true;
        requestAnimationFrame(draw);
    };

    const measure = () => {
        const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
        tops = [0];
        for (const { height } of all) tops.push(tops[tops.length - 1] + Math.round(height * rem));
        inner.style.height = `${tops[all.length]}px`;
    };

    node.addEventListener("scroll", schedule, { passive: true });
    const resized = new ResizeObserver(() => {
        measure();
        schedule();
    });
    resized.observe(node);

    return {
        node,
        /**
         * Shows these rows; the one at the top of the screen stays where it is.
         * @param {Row[]} fresh
         */
        set(fresh) {
            const at = node.scrollTop > 0 ? rowAt(node.scrollTop) : -1;
            const anchor = all[at]?.key;
            const offset = node.scrollTop - (tops[at] ?? 0);
            all = fresh;
            measure();
            const now = anchor ? all.findIndex(({ key }) => key === anchor) : -1;
            if (now >= 0) node.scrollTop = tops[now] + offset;
            draw();
        },
        toTop: () => (node.scrollTop = 0),
        /**
         * Moves the focus to the next link, even to one that is not created yet.
         * @param {1 | -1} step
         */
        move(step) {
            const current = [...drawn].find(([, { node }]) => node.contains(document.activeElement))?.[0];
            let at = current ? all.findIndex(({ key }) => key === current) : step > 0 ? -1 : all.length;
            do at += step; while (all[at]?.heading);
            if (!all[at]) return;
            if (tops[at] < node.scrollTop) node.scrollTop = tops[at];
            else if (tops[at + 1] > node.scrollTop + node.clientHeight) node.scrollTop = tops[at + 1] - node.clientHeight;
            draw();
            drawn.get(all[at].key)?.node.querySelector("a")?.focus({ preventScroll: true });
        },
        end: () => resized.disconnect(),
    };
}
