/** Elements. Texts become text nodes only: nothing received is ever parsed as markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element with its attributes, listeners (`onclick: f`) and children.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [attributes] false, null and undefined ones are left out
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === false || value === null || value === undefined) continue;
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else node.setAttribute(name, value === true ? "" : String(value));
    }
    node.append(...shown(children));
    return node;
}

/**
 * Replaces a node's content.
 * @param {Element} node
 * @param {...(Child | Child[])} children
 */
export function put(node, ...children) {
    node.replaceChildren(...shown(children));
}

/** @param {(Child | Child[])[]} children */
function shown(children) {
    return /** @type {(Node | string)[]} */ (children.flat().filter((child) => child || child === 0)
        .map((child) => (typeof child === "number" ? String(child) : child)));
}

/**
 * A button that cannot be pressed again while its action runs.
 * @param {string} text
 * @param {() => any} f
 * @param {Record<string, any>} [attributes]
 */
export function button(text, f, attributes = {}) {
    const node = el("button", { type: "button", ...attributes }, text);
    node.addEventListener("click", async () => {
        if (node.getAttribute("aria-busy")) return;
        node.setAttribute("aria-busy", "true");
        try {
            await f();
        } finally {
            node.removeAttribute("aria-busy");
        }
    });
    return node;
}

/**
 * An entry of a `dl`.
 * @param {string} name
 * @param {Child} value
 */
export function fact(name, value) {
    return el("div", {}, el("dt", {}, name), el("dd", {}, value));
}

/**
 * Shows a dialog until it is answered.
 * @template T
 * @param {Record<string, any>} attributes
 * @param {T} no the answer for Esc
 * @param {(answer: (value: T) => void) => Child[]} content
 * @returns {Promise<T>}
 */
export function dialog(attributes, no, content) {
    return new Promise((resolve) => {
        const answer = (/** @type {T} */ value) => {
            node.remove();
            resolve(value);
        };
        const node = el("dialog", { ...attributes, oncancel: () => answer(no) }, content(answer));
        document.body.append(node);
        node.showModal();
    });
}

/**
 * @param {string} question
 * @param {string} yes
 * @param {string} no
 * @returns {Promise<boolean>}
 */
export function ask(question, yes, no) {
    return dialog({ "aria-labelledby": "question" }, false, (answer) => [
        el("p", { id: "question" }, question),
        el("div", { class: "buttons" },
            button(no, () => answer(false), { autofocus: true }),
            button(yes, () => answer(true), { class: "grave" })),
    ]);
}
