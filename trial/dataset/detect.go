package dataset

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Formats that are recognised, so that a file can be called by its name; they
// hold no table that is read here. FormatUnknown is the zero value.
const (
	FormatUnknown Format = ""
	ODMXML        Format = "odm-xml"    // export or audit trail of an EDC system
	DefineXML     Format = "define-xml" // description of a package of datasets
	EPCIS         Format = "epcis"      // GS1 EPCIS events of a supply chain, JSON or XML
	USDM          Format = "usdm"       // protocol as CDISC USDM (ICH M11) JSON
	DICOM         Format = "dicom"      // image
	PDF           Format = "pdf"
	ZIP           Format = "zip" // also the formats of office programs
	XML           Format = "xml" // of another kind
	JSON          Format = "json"
)

// Table tells whether [Open] reads files of this format.
func (f Format) Table() bool {
	switch f {
	case XPT5, XPT8, DatasetJSON, NDJSON, DSJC:
		return true
	default:
		return false
	}
}

// HeadLength is how much of a file [Detect] looks at. A shorter head may be less
// telling; more is ignored.
const HeadLength = 64 << 10

// Magic texts, as the formats' specifications give them.
const (
	xpt5Magic  = "HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
	xpt8Magic  = "HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!"
	pdfMagic   = "%PDF-"
	zipMagic   = "PK\x03\x04"
	dicomMagic = "DICM"
	dicomAt    = 128
	utf8BOM    = "\xef\xbb\xbf"
)

// Detect tells a file's format by its first bytes, never by its name. It says
// what the file claims to be: only reading it shows whether it is sound. A
// Dataset-JSON file whose description alone is longer than the head may turn out
// to be NDJSON; [Meta] has the format that was read.
func Detect(head []byte) Format {
	head = head[:min(len(head), HeadLength)]
	switch {
	case bytes.HasPrefix(head, []byte(xpt5Magic)):
		return XPT5
	case bytes.HasPrefix(head, []byte(xpt8Magic)):
		return XPT8
	case bytes.HasPrefix(head, []byte(pdfMagic)):
		return PDF
	case bytes.HasPrefix(head, []byte(zipMagic)):
		return ZIP
	case len(head) >= dicomAt+len(dicomMagic) && string(head[dicomAt:dicomAt+len(dicomMagic)]) == dicomMagic:
		return DICOM
	case isGzip(head) || isZlib(head):
		return detectCompressed(head)
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte(utf8BOM)), " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		return detectJSON(text)
	case bytes.HasPrefix(text, []byte("<")):
		return detectXML(text)
	}
	return FormatUnknown
}

func isGzip(head []byte) bool { return bytes.HasPrefix(head, []byte{0x1f, 0x8b}) }

// isZlib knows the four headers that compressors write for a window of 32 KiB.
func isZlib(head []byte) bool {
	return len(head) >= 2 && head[0] == 0x78 && (head[1] == 0x01 || head[1] == 0x5e || head[1] == 0x9c || head[1] == 0xda)
}

// detectCompressed looks at what the beginning of a compressed file unpacks to. A
// compressed description of a table is DSJC, whatever its rows are spelled like.
func detectCompressed(head []byte) Format {
	var inner io.Reader
	var err error
	if isGzip(head) {
		inner, err = gzip.NewReader(bytes.NewReader(head))
	} else {
		inner, err = zlib.NewReader(bytes.NewReader(head))
	}
	if err != nil {
		return FormatUnknown
	}
	// The head ends in the middle of the file: what came before counts.
	plain, _ := io.ReadAll(io.LimitReader(inner, HeadLength))
	switch Detect(plain) {
	case DatasetJSON, NDJSON:
		return DSJC
	default:
		return FormatUnknown
	}
}

// jsonMembers are the members that only Dataset-JSON 1.1 has. Its columns, rows and
// records are words of other formats too.
var jsonMembers = map[string]bool{
	"datasetJSONCreationDateTime": true, "datasetJSONVersion": true, "itemGroupOID": true,
	"dbLastModifiedDateTime": true, "metaDataVersionOID": true,
}

// detectJSON walks the members of the first value as far as the head goes.
func detectJSON(head []byte) Format {
	dec := jsontext.NewDecoder(bytes.NewReader(head))
	if _, err := dec.ReadToken(); err != nil {
		return FormatUnknown
	}
	rows := false
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			break
		}
		name := token.String()
		switch {
		case jsonMembers[name]:
			return detectRows(dec, name)
		case name == "usdmVersion", name == "study" && bytes.Contains(head, []byte(`"instanceType"`)):
			return USDM
		}
		rows = rows || name == "rows"
		value, err := readScalar(dec)
		switch {
		case err == nil && (name == "type" || name == "isA") && isEPCISDocument(value):
			return EPCIS
		case err != nil && rows:
			return DatasetJSON // rows come first and may fill the head
		case err != nil:
			return JSON
		}
	}
	return JSON
}

// readScalar reads a value and returns it if it is a string.
func readScalar(dec *jsontext.Decoder) (string, error) {
	if dec.PeekKind() != '"' {
		return "", dec.SkipValue()
	}
	token, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	return token.String(), nil
}

func isEPCISDocument(name string) bool {
	return name == "EPCISDocument" || name == "EPCISQueryDocument"
}

// detectRows tells Dataset-JSON, whose rows stand inside the object, from NDJSON,
// whose rows follow it. It begins after a member's name.
func detectRows(dec *jsontext.Decoder, name string) Format {
	for {
		if name == "rows" {
			return DatasetJSON
		}
		if dec.SkipValue() != nil {
			return DatasetJSON
		}
		token, err := dec.ReadToken()
		if err != nil {
			return DatasetJSON
		}
		if token.Kind() == '}' {
			break
		}
		name = token.String()
	}
	if dec.PeekKind() == '[' {
		return NDJSON
	}
	return DatasetJSON
}

// detectXML looks at the root element.
func detectXML(head []byte) Format {
	dec := xml.NewDecoder(bytes.NewReader(head))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return xmlProlog(head)
		}
		root, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch {
		case strings.HasPrefix(root.Name.Space, "urn:epcglobal:epcis"):
			return EPCIS
		case root.Name.Local != "ODM":
			return XML
		}
		for _, a := range root.Attr {
			if a.Name.Space == "xmlns" && strings.HasPrefix(a.Value, "http://www.cdisc.org/ns/def/") {
				return DefineXML
			}
		}
		return ODMXML
	}
}

// xmlProlog tells XML whose root is not in the head from other text that begins
// with "<".
func xmlProlog(head []byte) Format {
	if bytes.HasPrefix(head, []byte("<?xml")) {
		return XML
	}
	return FormatUnknown
}
