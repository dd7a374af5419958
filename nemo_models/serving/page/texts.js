// Everything that the page says, in both languages.

const TEXTS = {
  hi: {
    title: "वाक् पहचान",
    hindi_title: "हिन्दी वाक् पहचान",
    key: "API कुंजी",
    use_key: "लागू करें",
    need_key: "सर्वर API कुंजी माँगता है।",
    spoken_language: "बोली जाने वाली भाषा",
    any_language: "अपने आप पहचानें",

    speak: "बोलें",
    start: "माइक्रोफ़ोन चालू करें",
    stop: "रोकें",
    connecting: "सर्वर से जुड़ रहा है…",
    listening: "सुन रहा है…",
    finishing: "आख़िरी शब्द आ रहे हैं…",
    spoken_words: "बोले गए शब्द",
    clear: "मिटाएँ",
    no_microphone: "माइक्रोफ़ोन नहीं मिला। ब्राउज़र इसे केवल https या localhost पर देता है; अनुमति भी जाँचें।",

    file: "फ़ाइल",
    drop: "रिकॉर्डिंग यहाँ छोड़ें, या चुनें",
    cancel: "रद्द करें",
    progress: "प्रगति",
    sending: "फ़ाइल भेजी जा रही है…",
    working: "पहचान हो रही है…",
    done: "तैयार",
    nothing: "कोई शब्द नहीं मिला",
    canceled: "रद्द किया गया",
    recording: "रिकॉर्डिंग",
    file_words: "रिकॉर्डिंग के शब्द",
    unplayable: "यह ब्राउज़र इस रिकॉर्डिंग को चला नहीं सकता।",

    copy: "कॉपी करें",
    copied: "कॉपी हो गया",
    save: "सहेजें",
    words_note: "शब्द चुनने से ध्वनि वहीं से चलती है; तीर कुंजियाँ एक शब्द से दूसरे पर ले जाती हैं। लहरदार रेखा वाले शब्द अनिश्चित हैं।",
    uncertain: "अनिश्चित",
    seconds: "सेकंड",
    lost: "सर्वर से संपर्क टूट गया। फिर से कोशिश करें।",
  },
  en: {
    title: "Speech recognition",
    hindi_title: "Hindi speech recognition",
    key: "API key",
    use_key: "Use it",
    need_key: "The server asks for an API key.",
    spoken_language: "Spoken language",
    any_language: "Identify it",

    speak: "Speak",
    start: "Start the microphone",
    stop: "Stop",
    connecting: "Connecting to the server…",
    listening: "Listening…",
    finishing: "The last words are coming…",
    spoken_words: "Spoken words",
    clear: "Clear",
    no_microphone: "No microphone. Browsers give it only to https or localhost; check the permission too.",

    file: "File",
    drop: "Drop a recording here, or choose one",
    cancel: "Cancel",
    progress: "Progress",
    sending: "Sending the file…",
    working: "Recognising…",
    done: "Done",
    nothing: "No word was found",
    canceled: "Cancelled",
    recording: "Recording",
    file_words: "Words of the recording",
    unplayable: "This browser cannot play the recording.",

    copy: "Copy",
    copied: "Copied",
    save: "Save",
    words_note: "A word plays from its place; arrow keys go from word to word. Words with a wavy line are uncertain.",
    uncertain: "uncertain",
    seconds: "seconds",
    lost: "The connection to the server is lost. Try again.",
  },
};

// The server's errors are in English. What a user of the page may meet is said in Hindi by its code.
const HINDI_ERRORS = {
  unreadable_audio: "इस फ़ाइल को ध्वनि के रूप में पढ़ा नहीं जा सका।",
  truncated_audio: "रिकॉर्डिंग अधूरी है।",
  damaged_audio: "रिकॉर्डिंग ख़राब है।",
  empty_file: "फ़ाइल ख़ाली है।",
  too_short: "रिकॉर्डिंग बहुत छोटी है।",
  too_long: "रिकॉर्डिंग बहुत लंबी है।",
  file_too_large: "फ़ाइल बहुत बड़ी है।",
  not_finite_audio: "रिकॉर्डिंग में अमान्य मान हैं।",
  several_channels: "रिकॉर्डिंग में दो से अधिक चैनल हैं।",
  cancelling_channels: "रिकॉर्डिंग के चैनल एक-दूसरे को मिटा देते हैं।",
  too_many_requests: "सर्वर व्यस्त है। थोड़ी देर में फिर कोशिश करें।",
  too_many_connections: "सर्वर व्यस्त है। थोड़ी देर में फिर कोशिश करें।",
  busy: "सर्वर व्यस्त है। थोड़ी देर में फिर कोशिश करें।",
  not_ready: "सर्वर अभी तैयार नहीं है। थोड़ी देर में फिर कोशिश करें।",
  stopped: "सर्वर बंद हो रहा है।",
  timeout: "पहचान में बहुत समय लगा। रिकॉर्डिंग छोटी करें।",
  upload_timeout: "फ़ाइल भेजने में बहुत समय लगा।",
  idle: "देर तक कोई ध्वनि नहीं आई। फिर से शुरू करें।",
};

let language = "en";

/** The text of a name. */
export const say = (name) => TEXTS[language][name];

/** The text of an error of the server: {code, message}. */
export const explain = ({ code, message }) => (language === "hi" && HINDI_ERRORS[code]) || message;

/** Show a text, and again when the language changes; no name: nothing. */
export function showText(element, name) {
  if (name) element.dataset.text = name;
  else delete element.dataset.text;
  element.textContent = name ? say(name) : "";
}

/** The name of a language by its code, such as `ta` or `hi+en`; `english` if the browser does not know it. */
function nameLanguage(code, english) {
  const names = new Intl.DisplayNames([language], { type: "language", fallback: "none" });
  const parts = code.split("+").map((part) => names.of(part));
  return parts.every(Boolean) ? parts.join(" + ") : english;
}

/** Choose the language of everything that is shown. */
export function chooseLanguage(name) {
  language = name;
  document.documentElement.lang = name;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const option of document.querySelectorAll("[data-name]")) option.textContent = nameLanguage(option.value, option.dataset.name);
  document.title = document.querySelector("h1").textContent;
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === name));
  }
}
