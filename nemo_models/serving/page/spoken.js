// The language that is spoken: the reader's choice, where the model has several.

const choice = document.getElementById("spoken");
const options = [...choice.options];

/** The code of the chosen language; "": the server identifies it, or the model has one language. */
export const spokenLanguage = () => choice.value;

/** Let the choice be changed, or not, for that of a recording is made at its start. */
export function allowChoice(isAllowed) {
  choice.disabled = !isAllowed;
}

/** Say in what language an element's text is: by its code, or by its English name in lower case, as the server does. */
export function markLanguage(element, given) {
  const found = given && options.find(({ value, dataset }) => value === given || dataset.name?.toLowerCase() === given);
  if (found) Object.assign(element, { lang: found.dataset.lang, dir: found.dataset.dir });
}
