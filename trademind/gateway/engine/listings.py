"""The listings of the paper exchange as plain rows; `instruments.py` makes instruments of them.

Con ids are IB's own where public code and documentation agree on them (recorded contract details,
portfolio exports, API samples): they are what a client that hard-codes `265598` for AAPL expects. An id
below 100 is one we have no such source for; it becomes an id in the reserved range. Sector words follow
IB's contract details. Prices, volatilities and volumes are of a plausible size only: they parametrise the
synthetic market and claim nothing.
"""

Sector = tuple[str, str, str]
"""Industry, category, subcategory."""

COMPUTERS: Sector = ("Technology", "Computers", "Computers")
APPLICATIONS_SOFTWARE: Sector = ("Technology", "Software", "Applications Software")
ELECTRONIC_COMPO_SEMIC: Sector = ("Technology", "Semiconductors", "Electronic Compo-Semicon")
E_COMMERCE_PRODUCTS: Sector = ("Communications", "Internet", "E-Commerce/Products")
WEB_PORTALS_ISP: Sector = ("Communications", "Internet", "Web Portals/ISP")
INTERNET_CONTENT_ENTMN: Sector = ("Communications", "Internet", "Internet Content-Entmnt")
AUTO_CARS_LIGHT_TRUCKS: Sector = ("Consumer, Cyclical", "Auto Manufacturers", "Auto-Cars/Light Trucks")
RETAIL_DISCOUNT: Sector = ("Consumer, Cyclical", "Retail", "Retail-Discount")
NETWORKING_PRODUCTS: Sector = ("Communications", "Telecommunications", "Networking Products")
SEMICON_COMPO_INTG_CIR: Sector = ("Technology", "Semiconductors", "Semicon Compo-Intg Circu")
SEMICONDUCTOR_EQUIPMEN: Sector = ("Technology", "Semiconductors", "Semiconductor Equipment")
MEDICAL_BIOMEDICAL_GEN: Sector = ("Consumer, Non-cyclical", "Biotechnology", "Medical-Biomedical/Gene")
BEVERAGES_NON_ALCOHOLI: Sector = ("Consumer, Non-cyclical", "Beverages", "Beverages-Non-alcoholic")
RETAIL_RESTAURANTS: Sector = ("Consumer, Cyclical", "Retail", "Retail-Restaurants")
CABLE_SATELLITE_TV: Sector = ("Communications", "Media", "Cable/Satellite TV")
CELLULAR_TELECOM: Sector = ("Communications", "Telecommunications", "Cellular Telecom")
COMMERCIAL_SERV_FINANC: Sector = ("Consumer, Non-cyclical", "Commercial Services", "Commercial Serv-Finance")
E_COMMERCE_SERVICES: Sector = ("Communications", "Internet", "E-Commerce/Services")
MEDICAL_INSTRUMENTS: Sector = ("Consumer, Non-cyclical", "Healthcare-Products", "Medical Instruments")
FINANCE_OTHER_SERVICES: Sector = ("Financial", "Diversified Finan Serv", "Finance-Other Services")
COMPUTER_DATA_SECURITY: Sector = ("Technology", "Computers", "Computer Data Security")
WEB_HOSTING_DESIGN: Sector = ("Communications", "Internet", "Web Hosting/Design")
FINANCE_INVEST_BNKR_BR: Sector = ("Financial", "Diversified Finan Serv", "Finance-Invest Bnkr/Brkr")
COMPUTER_SERVICES: Sector = ("Technology", "Computers", "Computer Services")
ENTERPRISE_SOFTWARE_SE: Sector = ("Technology", "Software", "Enterprise Software/Serv")
DIVERSIFIED_BANKING_IN: Sector = ("Financial", "Banks", "Diversified Banking Inst")
SUPER_REGIONAL_BANKS_U: Sector = ("Financial", "Banks", "Super-Regional Banks-US")
FINANCE_CREDIT_CARD: Sector = ("Financial", "Diversified Finan Serv", "Finance-Credit Card")
REINSURANCE: Sector = ("Financial", "Insurance", "Reinsurance")
MEDICAL_HMO: Sector = ("Consumer, Non-cyclical", "Healthcare-Services", "Medical-HMO")
MEDICAL_DRUGS: Sector = ("Consumer, Non-cyclical", "Pharmaceuticals", "Medical-Drugs")
DIAGNOSTIC_EQUIPMENT: Sector = ("Consumer, Non-cyclical", "Healthcare-Products", "Diagnostic Equipment")
MEDICAL_PRODUCTS: Sector = ("Consumer, Non-cyclical", "Healthcare-Products", "Medical Products")
ATHLETIC_FOOTWEAR: Sector = ("Consumer, Cyclical", "Apparel", "Athletic Footwear")
RETAIL_BUILDING_PRODUC: Sector = ("Consumer, Cyclical", "Retail", "Retail-Building Products")
COSMETICS_TOILETRIES: Sector = ("Consumer, Non-cyclical", "Cosmetics/Personal Care", "Cosmetics&Toiletries")
TOBACCO: Sector = ("Consumer, Non-cyclical", "Agriculture", "Tobacco")
MULTIMEDIA: Sector = ("Communications", "Media", "Multimedia")
TELEPHONE_INTEGRATED: Sector = ("Communications", "Telecommunications", "Telephone-Integrated")
OIL_COMP_INTEGRATED: Sector = ("Energy", "Oil & Gas", "Oil Comp-Integrated")
OIL_COMP_EXPLOR_PRODTN: Sector = ("Energy", "Oil & Gas", "Oil Comp-Explor&Prodtn")
ELECTRIC_INTEGRATED: Sector = ("Utilities", "Electric", "Electric-Integrated")
AEROSPACE_DEFENSE: Sector = ("Industrial", "Aerospace/Defense", "Aerospace/Defense")
MACHINERY_CONSTR_MININ: Sector = ("Industrial", "Machinery-Constr&Mining", "Machinery-Constr&Mining")
MACHINERY_FARM: Sector = ("Industrial", "Machinery-Diversified", "Machinery-Farm")
DIVERSIFIED_MANUFACT_O: Sector = ("Industrial", "Miscellaneous Manufactur", "Diversified Manufact Op")
TRANSPORT_SERVICES: Sector = ("Industrial", "Transportation", "Transport-Services")
TRANSPORT_RAIL: Sector = ("Industrial", "Transportation", "Transport-Rail")
AIRLINES: Sector = ("Consumer, Cyclical", "Airlines", "Airlines")
RETAIL_COMPUTER_EQUIP: Sector = ("Consumer, Cyclical", "Retail", "Retail-Computer Equip")
METAL_COPPER: Sector = ("Basic Materials", "Mining", "Metal-Copper")
GOLD_MINING: Sector = ("Basic Materials", "Mining", "Gold Mining")

# fmt: off
StockRow = tuple[int, str, str, str, Sector, float, float, int, int]
"""Con id, symbol, listing exchange, long name, sector, reference price, annual volatility, daily volume,
usual spread in ticks."""

STOCKS: tuple[StockRow, ...] = (
    (265598, "AAPL", "NASDAQ", "APPLE INC", COMPUTERS, 230.0, 0.28, 52_000_000, 1),
    (272093, "MSFT", "NASDAQ", "MICROSOFT CORP", APPLICATIONS_SOFTWARE, 430.0, 0.25, 21_000_000, 2),
    (4815747, "NVDA", "NASDAQ", "NVIDIA CORP", ELECTRONIC_COMPO_SEMIC, 135.0, 0.48, 240_000_000, 1),
    (3691937, "AMZN", "NASDAQ", "AMAZON.COM INC", E_COMMERCE_PRODUCTS, 200.0, 0.32, 40_000_000, 1),
    (208813719, "GOOGL", "NASDAQ", "ALPHABET INC-CL A", WEB_PORTALS_ISP, 175.0, 0.3, 30_000_000, 1),
    (208813720, "GOOG", "NASDAQ", "ALPHABET INC-CL C", WEB_PORTALS_ISP, 176.0, 0.3, 20_000_000, 1),
    (107113386, "META", "NASDAQ", "META PLATFORMS INC-CLASS A", INTERNET_CONTENT_ENTMN,
     580.0, 0.36, 14_000_000, 4),
    (76792991, "TSLA", "NASDAQ", "TESLA INC", AUTO_CARS_LIGHT_TRUCKS, 260.0, 0.58, 95_000_000, 2),
    (313130367, "AVGO", "NASDAQ", "BROADCOM INC", ELECTRONIC_COMPO_SEMIC, 175.0, 0.44, 28_000_000, 2),
    (15124833, "NFLX", "NASDAQ", "NETFLIX INC", INTERNET_CONTENT_ENTMN, 700.0, 0.34, 4_000_000, 15),
    (272997, "COST", "NASDAQ", "COSTCO WHOLESALE CORP", RETAIL_DISCOUNT, 900.0, 0.22, 2_000_000, 25),
    (4391, "AMD", "NASDAQ", "ADVANCED MICRO DEVICES", ELECTRONIC_COMPO_SEMIC, 155.0, 0.5, 48_000_000, 1),
    (270639, "INTC", "NASDAQ", "INTEL CORP", ELECTRONIC_COMPO_SEMIC, 24.0, 0.46, 70_000_000, 1),
    (268084, "CSCO", "NASDAQ", "CISCO SYSTEMS INC", NETWORKING_PRODUCTS, 56.0, 0.2, 18_000_000, 1),
    (265768, "ADBE", "NASDAQ", "ADOBE INC", APPLICATIONS_SOFTWARE, 500.0, 0.32, 3_200_000, 12),
    (273544, "QCOM", "NASDAQ", "QUALCOMM INC", SEMICON_COMPO_INTG_CIR, 165.0, 0.34, 8_000_000, 3),
    (13096, "TXN", "NASDAQ", "TEXAS INSTRUMENTS INC", ELECTRONIC_COMPO_SEMIC, 200.0, 0.28, 5_500_000, 5),
    (266093, "AMAT", "NASDAQ", "APPLIED MATERIALS INC", SEMICONDUCTOR_EQUIPMEN, 190.0, 0.4, 6_500_000, 5),
    (9939, "MU", "NASDAQ", "MICRON TECHNOLOGY INC", ELECTRONIC_COMPO_SEMIC, 105.0, 0.5, 20_000_000, 2),
    (266145, "AMGN", "NASDAQ", "AMGEN INC", MEDICAL_BIOMEDICAL_GEN, 310.0, 0.22, 2_500_000, 12),
    (269753, "GILD", "NASDAQ", "GILEAD SCIENCES INC", MEDICAL_BIOMEDICAL_GEN, 88.0, 0.22, 7_000_000, 2),
    (11017, "PEP", "NASDAQ", "PEPSICO INC", BEVERAGES_NON_ALCOHOLI, 165.0, 0.17, 5_500_000, 2),
    (274105, "SBUX", "NASDAQ", "STARBUCKS CORP", RETAIL_RESTAURANTS, 96.0, 0.28, 8_500_000, 1),
    (267748, "CMCSA", "NASDAQ", "COMCAST CORP-CLASS A", CABLE_SATELLITE_TV, 42.0, 0.24, 19_000_000, 1),
    (125980227, "TMUS", "NASDAQ", "T-MOBILE US INC", CELLULAR_TELECOM, 220.0, 0.2, 4_000_000, 7),
    (199169591, "PYPL", "NASDAQ", "PAYPAL HOLDINGS INC", COMMERCIAL_SERV_FINANC, 78.0, 0.36, 11_000_000, 1),
    (308728373, "BKNG", "NASDAQ", "BOOKING HOLDINGS INC", E_COMMERCE_SERVICES, 4300.0, 0.28, 230_000, 250),
    (270662, "INTU", "NASDAQ", "INTUIT INC", APPLICATIONS_SOFTWARE, 620.0, 0.28, 1_400_000, 25),
    (9063285, "ISRG", "NASDAQ", "INTUITIVE SURGICAL INC", MEDICAL_INSTRUMENTS, 490.0, 0.28, 1_500_000, 25),
    (459530964, "ABNB", "NASDAQ", "AIRBNB INC-CLASS A", E_COMMERCE_SERVICES, 130.0, 0.38, 5_000_000, 4),
    (344809106, "MRNA", "NASDAQ", "MODERNA INC", MEDICAL_BIOMEDICAL_GEN, 45.0, 0.62, 9_000_000, 2),
    (481691285, "COIN", "NASDAQ", "COINBASE GLOBAL INC -CLASS A", FINANCE_OTHER_SERVICES,
     240.0, 0.75, 10_000_000, 10),
    (444857009, "PLTR", "NASDAQ", "PALANTIR TECHNOLOGIES INC-A", APPLICATIONS_SOFTWARE,
     75.0, 0.62, 70_000_000, 1),
    (195014116, "SHOP", "NASDAQ", "SHOPIFY INC - CLASS A", E_COMMERCE_SERVICES, 95.0, 0.5, 9_000_000, 2),
    (370757467, "CRWD", "NASDAQ", "CROWDSTRIKE HOLDINGS INC - A", COMPUTER_DATA_SECURITY,
     350.0, 0.46, 4_000_000, 15),
    (110619459, "PANW", "NASDAQ", "PALO ALTO NETWORKS INC", WEB_HOSTING_DESIGN, 185.0, 0.36, 6_000_000, 5),
    (483492393, "MRVL", "NASDAQ", "MARVELL TECHNOLOGY INC", SEMICON_COMPO_INTG_CIR,
     85.0, 0.55, 16_000_000, 2),
    (45602025, "MELI", "NASDAQ", "MERCADOLIBRE INC", E_COMMERCE_PRODUCTS, 1900.0, 0.4, 380_000, 150),
    (653400472, "ARM", "NASDAQ", "ARM HOLDINGS PLC-ADR", ELECTRONIC_COMPO_SEMIC, 140.0, 0.6, 7_000_000, 6),
    (504546674, "HOOD", "NASDAQ", "ROBINHOOD MARKETS INC - A", FINANCE_INVEST_BNKR_BR,
     45.0, 0.65, 30_000_000, 1),
    (43645865, "IBKR", "NASDAQ", "INTERACTIVE BROKERS GRO-CL A", FINANCE_INVEST_BNKR_BR,
     55.0, 0.34, 5_000_000, 2),
    (13824, "WMT", "NASDAQ", "WALMART INC", RETAIL_DISCOUNT, 85.0, 0.2, 17_000_000, 1),
    (8314, "IBM", "NYSE", "INTL BUSINESS MACHINES CORP", COMPUTER_SERVICES, 225.0, 0.22, 4_000_000, 5),
    (272800, "ORCL", "NYSE", "ORACLE CORP", ENTERPRISE_SOFTWARE_SE, 170.0, 0.34, 9_000_000, 4),
    (29624264, "CRM", "NYSE", "SALESFORCE INC", ENTERPRISE_SOFTWARE_SE, 290.0, 0.32, 6_000_000, 8),
    (109911821, "NOW", "NYSE", "SERVICENOW INC", ENTERPRISE_SOFTWARE_SE, 900.0, 0.34, 1_300_000, 60),
    (365207014, "UBER", "NYSE", "UBER TECHNOLOGIES INC", E_COMMERCE_SERVICES, 75.0, 0.38, 19_000_000, 1),
    (1520593, "JPM", "NYSE", "JPMORGAN CHASE & CO", DIVERSIFIED_BANKING_IN, 240.0, 0.23, 9_000_000, 4),
    (10098, "BAC", "NYSE", "BANK OF AMERICA CORP", DIVERSIFIED_BANKING_IN, 44.0, 0.25, 36_000_000, 1),
    (10375, "WFC", "NYSE", "WELLS FARGO & CO", SUPER_REGIONAL_BANKS_U, 72.0, 0.27, 16_000_000, 1),
    (87335484, "C", "NYSE", "CITIGROUP INC", DIVERSIFIED_BANKING_IN, 70.0, 0.28, 14_000_000, 1),
    (4627828, "GS", "NYSE", "GOLDMAN SACHS GROUP INC", DIVERSIFIED_BANKING_IN, 580.0, 0.27, 2_300_000, 25),
    (2841574, "MS", "NYSE", "MORGAN STANLEY", DIVERSIFIED_BANKING_IN, 128.0, 0.27, 6_500_000, 3),
    (11905, "SCHW", "NYSE", "SCHWAB (CHARLES) CORP", FINANCE_INVEST_BNKR_BR, 78.0, 0.28, 8_500_000, 1),
    (4721, "AXP", "NYSE", "AMERICAN EXPRESS CO", FINANCE_CREDIT_CARD, 290.0, 0.26, 2_800_000, 12),
    (49462172, "V", "NYSE", "VISA INC-CLASS A SHARES", FINANCE_CREDIT_CARD, 310.0, 0.2, 6_000_000, 6),
    (38685693, "MA", "NYSE", "MASTERCARD INC - A", FINANCE_CREDIT_CARD, 520.0, 0.21, 2_500_000, 16),
    (72063691, "BRK B", "NYSE", "BERKSHIRE HATHAWAY INC-CL B", REINSURANCE, 460.0, 0.16, 3_800_000, 8),
    (13272, "UNH", "NYSE", "UNITEDHEALTH GROUP INC", MEDICAL_HMO, 500.0, 0.28, 4_500_000, 15),
    (8719, "JNJ", "NYSE", "JOHNSON & JOHNSON", MEDICAL_DRUGS, 155.0, 0.16, 7_500_000, 1),
    (11031, "PFE", "NYSE", "PFIZER INC", MEDICAL_DRUGS, 27.0, 0.24, 38_000_000, 1),
    (70101545, "MRK", "NYSE", "MERCK & CO. INC.", MEDICAL_DRUGS, 100.0, 0.22, 11_000_000, 1),
    (118089500, "ABBV", "NYSE", "ABBVIE INC", MEDICAL_DRUGS, 185.0, 0.22, 6_000_000, 4),
    (9160, "LLY", "NYSE", "ELI LILLY & CO", MEDICAL_DRUGS, 800.0, 0.32, 3_200_000, 35),
    (5111, "BMY", "NYSE", "BRISTOL-MYERS SQUIBB CO", MEDICAL_DRUGS, 55.0, 0.24, 12_000_000, 1),
    (12869, "TMO", "NYSE", "THERMO FISHER SCIENTIFIC INC", DIAGNOSTIC_EQUIPMENT, 540.0, 0.24, 1_700_000, 30),
    (4065, "ABT", "NYSE", "ABBOTT LABORATORIES", MEDICAL_PRODUCTS, 115.0, 0.19, 5_500_000, 2),
    (8894, "KO", "NYSE", "COCA-COLA CO/THE", BEVERAGES_NON_ALCOHOLI, 64.0, 0.14, 15_000_000, 1),
    (9408, "MCD", "NYSE", "MCDONALD'S CORP", RETAIL_RESTAURANTS, 295.0, 0.18, 3_300_000, 6),
    (10291, "NKE", "NYSE", "NIKE INC -CL B", ATHLETIC_FOOTWEAR, 76.0, 0.32, 12_000_000, 1),
    (7930, "HD", "NYSE", "HOME DEPOT INC", RETAIL_BUILDING_PRODUC, 400.0, 0.22, 3_300_000, 12),
    (9199, "LOW", "NYSE", "LOWE'S COS INC", RETAIL_BUILDING_PRODUC, 260.0, 0.23, 2_400_000, 10),
    (6437, "TGT", "NYSE", "TARGET CORP", RETAIL_DISCOUNT, 135.0, 0.34, 5_500_000, 3),
    (11054, "PG", "NYSE", "PROCTER & GAMBLE CO/THE", COSMETICS_TOILETRIES, 170.0, 0.15, 7_000_000, 1),
    (9769, "MO", "NYSE", "ALTRIA GROUP INC", TOBACCO, 54.0, 0.17, 8_000_000, 1),
    (49588376, "PM", "NYSE", "PHILIP MORRIS INTERNATIONAL", TOBACCO, 130.0, 0.19, 4_800_000, 3),
    (6459, "DIS", "NYSE", "WALT DISNEY CO/THE", MULTIMEDIA, 105.0, 0.27, 9_500_000, 1),
    (37018770, "T", "NYSE", "AT&T INC", TELEPHONE_INTEGRATED, 22.0, 0.2, 33_000_000, 1),
    (4901, "VZ", "NYSE", "VERIZON COMMUNICATIONS INC", TELEPHONE_INTEGRATED, 42.0, 0.19, 17_000_000, 1),
    (13977, "XOM", "NYSE", "EXXON MOBIL CORP", OIL_COMP_INTEGRATED, 115.0, 0.24, 15_000_000, 1),
    (5684, "CVX", "NYSE", "CHEVRON CORP", OIL_COMP_INTEGRATED, 155.0, 0.24, 8_000_000, 2),
    (10885, "COP", "NYSE", "CONOCOPHILLIPS", OIL_COMP_EXPLOR_PRODTN, 108.0, 0.3, 6_500_000, 2),
    (10880, "OXY", "NYSE", "OCCIDENTAL PETROLEUM CORP", OIL_COMP_EXPLOR_PRODTN, 50.0, 0.32, 9_500_000, 1),
    (75960201, "NEE", "NYSE", "NEXTERA ENERGY INC", ELECTRIC_INTEGRATED, 76.0, 0.26, 10_000_000, 1),
    (4762, "BA", "NYSE", "BOEING CO/THE", AEROSPACE_DEFENSE, 170.0, 0.38, 8_000_000, 4),
    (5437, "CAT", "NYSE", "CATERPILLAR INC", MACHINERY_CONSTR_MININ, 370.0, 0.28, 2_700_000, 16),
    (6393, "DE", "NYSE", "DEERE & CO", MACHINERY_FARM, 420.0, 0.26, 1_400_000, 22),
    (498843743, "GE", "NYSE", "GENERAL ELECTRIC", AEROSPACE_DEFENSE, 180.0, 0.3, 5_000_000, 5),
    (611191, "LMT", "NYSE", "LOCKHEED MARTIN CORP", AEROSPACE_DEFENSE, 500.0, 0.22, 1_200_000, 25),
    (415342104, "RTX", "NYSE", "RTX CORP", AEROSPACE_DEFENSE, 120.0, 0.22, 5_500_000, 2),
    (9720, "MMM", "NYSE", "3M CO", DIVERSIFIED_MANUFACT_O, 132.0, 0.27, 3_500_000, 4),
    (6231002, "UPS", "NYSE", "UNITED PARCEL SERVICE-CL B", TRANSPORT_SERVICES, 125.0, 0.27, 4_200_000, 3),
    (13284, "UNP", "NYSE", "UNION PACIFIC CORP", TRANSPORT_RAIL, 235.0, 0.21, 2_500_000, 8),
    (9599491, "F", "NYSE", "FORD MOTOR CO", AUTO_CARS_LIGHT_TRUCKS, 10.5, 0.34, 60_000_000, 1),
    (80986742, "GM", "NYSE", "GENERAL MOTORS CO", AUTO_CARS_LIGHT_TRUCKS, 50.0, 0.34, 12_000_000, 1),
    (44001820, "DAL", "NYSE", "DELTA AIR LINES INC", AIRLINES, 58.0, 0.38, 9_000_000, 1),
    (166090175, "BABA", "NYSE", "ALIBABA GROUP HOLDING-SP ADR", E_COMMERCE_PRODUCTS,
     95.0, 0.42, 16_000_000, 1),
    (268060148, "SNAP", "NYSE", "SNAP INC - A", INTERNET_CONTENT_ENTMN, 10.5, 0.6, 28_000_000, 1),
    (36285627, "GME", "NYSE", "GAMESTOP CORP-CLASS A", RETAIL_COMPUTER_EQUIP, 25.0, 0.8, 9_000_000, 1),
    (7089, "FCX", "NYSE", "FREEPORT-MCMORAN INC", METAL_COPPER, 42.0, 0.4, 13_000_000, 1),
    (10174, "NEM", "NYSE", "NEWMONT CORP", GOLD_MINING, 46.0, 0.36, 11_000_000, 1),
)

EtfRow = tuple[int, str, str, str, float, float, int, int]
"""As a stock's row, without a sector: IB leaves it empty."""

ETFS: tuple[EtfRow, ...] = (
    (756733, "SPY", "ARCA", "SS SPDR S&P 500 ETF TRUST-US", 580.0, 0.16, 55_000_000, 1),
    (320227571, "QQQ", "NASDAQ", "INVESCO QQQ TRUST SERIES 1", 500.0, 0.21, 38_000_000, 1),
    (9579970, "IWM", "ARCA", "ISHARES RUSSELL 2000 ETF", 225.0, 0.22, 28_000_000, 1),
    (73128548, "DIA", "ARCA", "SS SPDR DJIA ETF TRUST", 430.0, 0.14, 3_000_000, 4),
    (136155102, "VOO", "ARCA", "VANGUARD S&P 500 ETF", 535.0, 0.16, 6_000_000, 2),
    (8991352, "IVV", "ARCA", "ISHARES CORE S&P 500 ETF", 585.0, 0.16, 5_000_000, 3),
    (12340041, "VTI", "ARCA", "VANGUARD TOTAL STOCK MKT ETF", 288.0, 0.16, 3_200_000, 2),
    (27684070, "VWO", "ARCA", "VANGUARD FTSE EMERGING MARKE", 46.0, 0.17, 8_000_000, 1),
    (51529211, "GLD", "ARCA", "SPDR GOLD SHARES", 245.0, 0.15, 7_000_000, 1),
    (39039301, "SLV", "ARCA", "ISHARES SILVER TRUST", 28.0, 0.28, 18_000_000, 1),
    (15547841, "TLT", "NASDAQ", "ISHARES 20+ YEAR TREASURY BD", 92.0, 0.15, 38_000_000, 1),
    (43652089, "HYG", "ARCA", "ISHARES IBOXX HIGH YLD CORP", 79.0, 0.06, 35_000_000, 1),
    (2, "XLF", "ARCA", "SS FINANCIAL SELECT SECTOR SPDR", 48.0, 0.18, 40_000_000, 1),
    (3, "XLE", "ARCA", "SS ENERGY SELECT SECTOR SPDR", 90.0, 0.24, 15_000_000, 1),
    (4, "XLK", "ARCA", "SS TECHNOLOGY SELECT SECTOR SPDR", 230.0, 0.23, 6_000_000, 2),
    (5, "EEM", "ARCA", "ISHARES MSCI EMERGING MARKETS", 44.0, 0.18, 28_000_000, 1),
)

FxRow = tuple[int, str, str, float, float, int, int]
"""Con id, pair, the base currency's long name, reference price, annual volatility, daily volume, spread in
ticks."""

FX_PAIRS: tuple[FxRow, ...] = (
    (12087792, "EUR.USD", "European Monetary Union Euro", 1.085, 0.075, 900_000_000, 1),
    (12087797, "GBP.USD", "British pound", 1.27, 0.08, 500_000_000, 2),
    (14433401, "AUD.USD", "Australian dollar", 0.655, 0.1, 300_000_000, 2),
    (39453441, "NZD.USD", "New Zealand dollar", 0.6, 0.105, 150_000_000, 3),
    (15016059, "USD.JPY", "United States dollar", 150.0, 0.095, 700_000_000, 1),
    (12087820, "USD.CHF", "United States dollar", 0.88, 0.075, 250_000_000, 2),
    (15016062, "USD.CAD", "United States dollar", 1.37, 0.06, 300_000_000, 2),
    (12087807, "EUR.GBP", "European Monetary Union Euro", 0.854, 0.055, 200_000_000, 2),
    (14321016, "EUR.JPY", "European Monetary Union Euro", 162.75, 0.09, 250_000_000, 2),
    (12087802, "EUR.CHF", "European Monetary Union Euro", 0.955, 0.05, 150_000_000, 2),
)

EuropeanRow = tuple[int, str, str, str, str, str, Sector, float, float, int, int, str]
"""Con id, symbol, listing exchange, currency, trading class, long name, sector, reference price, annual
volatility, daily volume, spread in ticks, tick."""

EUROPEAN_STOCKS: tuple[EuropeanRow, ...] = (
    (14204, "SAP", "IBIS", "EUR", "XETRA", "SAP SE", ENTERPRISE_SOFTWARE_SE,
     210.0, 0.26, 1_800_000, 1, "0.05"),
    (20, "SIE", "IBIS", "EUR", "XETRA", "SIEMENS AG-REG", DIVERSIFIED_MANUFACT_O,
     180.0, 0.27, 1_300_000, 1, "0.02"),
    (21, "ALV", "IBIS", "EUR", "XETRA", "ALLIANZ SE-REG", REINSURANCE, 290.0, 0.18, 700_000, 1, "0.1"),
    (22, "BMW", "IBIS", "EUR", "XETRA", "BAYERISCHE MOTOREN WERKE AG", AUTO_CARS_LIGHT_TRUCKS,
     78.0, 0.28, 1_200_000, 2, "0.02"),
    (23, "DTE", "IBIS", "EUR", "XETRA", "DEUTSCHE TELEKOM AG-REG", TELEPHONE_INTEGRATED,
     28.0, 0.18, 7_000_000, 1, "0.01"),
    (24, "DBK", "IBIS", "EUR", "XETRA", "DEUTSCHE BANK AG-REGISTERED", DIVERSIFIED_BANKING_IN,
     16.0, 0.32, 7_500_000, 2, "0.002"),
)

US_LISTINGS: tuple[StockRow, ...] = (
    (25, "SAP", "NYSE", "SAP SE-SPONSORED ADR", ENTERPRISE_SOFTWARE_SE, 228.0, 0.26, 900_000, 8),
)
"""Of companies whose symbol is another currency's, too: without a currency such a symbol is ambiguous."""

IndexRow = tuple[int, str, str, str, str, float, float, str, str]
"""Con id, symbol, exchange, currency, long name, reference level, annual volatility, tick, and the symbol of
what it follows: another index, an ETF, or nothing."""

INDICES: tuple[IndexRow, ...] = (
    (416904, "SPX", "CBOE", "USD", "S&P 500 Stock Index", 5800.0, 0.16, "0.01", "SPY"),
    (416843, "NDX", "NASDAQ", "USD", "NASDAQ 100 Stock Index", 20500.0, 0.21, "0.01", "QQQ"),
    (13455763, "VIX", "CBOE", "USD", "CBOE Volatility Index", 18.0, 0.9, "0.01", ""),
    (11004968, "ES", "CME", "USD", "E-mini S&P 500", 5800.0, 0.16, "0.01", "SPX"),
    (362673777, "MES", "CME", "USD", "Micro E-Mini S&P 500 Stock Price Index", 5800.0, 0.16, "0.01", "SPX"),
    (11004958, "NQ", "CME", "USD", "E-mini NASDAQ 100", 20500.0, 0.21, "0.01", "NDX"),
    (362687422, "MNQ", "CME", "USD", "Micro E-Mini Nasdaq-100 Index", 20500.0, 0.21, "0.01", "NDX"),
    (17340715, "CL", "NYMEX", "USD", "Light Sweet Crude Oil", 70.0, 0.34, "0.01", ""),
    (17340718, "GC", "COMEX", "USD", "Gold", 2650.0, 0.15, "0.1", ""),
    (30, "SI", "COMEX", "USD", "Silver Index", 31.0, 0.28, "0.005", ""),
)

CryptoRow = tuple[int, str, str, float, float, int, int, str, str, str]
"""Con id, symbol, long name, reference price, annual volatility, daily volume, spread in ticks, tick,
smallest order, size increment."""

CRYPTOS: tuple[CryptoRow, ...] = (
    (479624278, "BTC", "Bitcoin cryptocurrency", 95000.0, 0.5, 20_000, 8, "0.25", "0.0001", "0.00000001"),
    (495759171, "ETH", "Ethereum cryptocurrency", 3300.0, 0.65, 300_000, 10, "0.01", "0.001", "0.00000001"),
)

FutureRow = tuple[int, str, str, str, str, str, str, str, int, str, int, int, str, str]
"""Number (kept for good, as con ids are made of it), symbol, trading class, exchange, name, what it is
about, multiplier, tick, market rule, months listed as letters, how many, daily volume, last trade time, time
zone."""

EVERY_MONTH, QUARTERS = "FGHJKMNQUVXZ", "HMUZ"

FUTURES: tuple[FutureRow, ...] = (
    (0, "ES", "ES", "CME", "E-mini S&P 500", "ES", "50", "0.25", 67, QUARTERS, 5,
     1_500_000, "08:30", "US/Central"),
    (1, "MES", "MES", "CME", "Micro E-Mini S&P 500 Stock Price Index", "MES", "5", "0.25", 67, QUARTERS, 5,
     1_200_000, "08:30", "US/Central"),
    (2, "NQ", "NQ", "CME", "E-mini NASDAQ 100", "NQ", "20", "0.25", 67, QUARTERS, 5,
     600_000, "08:30", "US/Central"),
    (3, "MNQ", "MNQ", "CME", "Micro E-Mini Nasdaq-100 Index", "MNQ", "2", "0.25", 67, QUARTERS, 5,
     1_400_000, "08:30", "US/Central"),
    (4, "CL", "CL", "NYMEX", "Light Sweet Crude Oil", "CL", "1000", "0.01", 32, EVERY_MONTH, 24,
     350_000, "14:30", "US/Eastern"),
    (5, "GC", "GC", "COMEX", "Gold", "GC", "100", "0.1", 9001, "GJMQVZ", 8, 200_000, "13:30", "US/Eastern"),
    (6, "SI", "SI", "COMEX", "Silver", "SI", "5000", "0.005", 59, "FHKNUZ", 8, 70_000, "13:25", "US/Eastern"),
    (7, "EUR", "6E", "CME", "European Monetary Union Euro", "EUR.USD", "125000", "0.00005", 239, QUARTERS, 5,
     180_000, "09:16", "US/Central"),
)

OPTION_UNDERLYINGS: tuple[str, ...] = (
    "AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "GOOG", "META", "TSLA", "AVGO", "NFLX",
    "COST", "AMD", "INTC", "CSCO", "ADBE", "QCOM", "TXN", "AMAT", "MU", "AMGN",
    "GILD", "PEP", "SBUX", "PYPL", "COIN", "PLTR", "CRWD", "WMT", "IBM", "ORCL",
    "CRM", "UBER", "JPM", "BAC", "WFC", "C", "GS", "MS", "V", "MA",
    "UNH", "JNJ", "PFE", "MRK", "LLY", "KO", "MCD", "NKE", "HD", "PG",
    "DIS", "T", "VZ", "XOM", "CVX", "BA", "CAT", "GE", "F", "GM",
    "BABA", "SNAP", "GME", "FCX", "SPY", "QQQ", "IWM", "DIA", "GLD", "SLV",
    "TLT", "HYG", "XLF", "XLE", "XLK", "EEM", "SPX", "NDX",
)
"""Whose options are listed. Con ids are made of the position in this row: it only ever grows at its end."""

ISINS: dict[tuple[str, str], str] = {
    ("AAPL", "USD"): "US0378331005",
    ("MSFT", "USD"): "US5949181045",
    ("NVDA", "USD"): "US67066G1040",
    ("AMZN", "USD"): "US0231351067",
    ("GOOGL", "USD"): "US02079K3059",
    ("GOOG", "USD"): "US02079K1079",
    ("META", "USD"): "US30303M1027",
    ("TSLA", "USD"): "US88160R1014",
    ("IBM", "USD"): "US4592001014",
    ("JPM", "USD"): "US46625H1005",
    ("SPY", "USD"): "US78462F1030",
    ("QQQ", "USD"): "US46090E1038",
    ("SAP", "EUR"): "DE0007164600",
    ("SIE", "EUR"): "DE0007236101",
    ("ALV", "EUR"): "DE0008404005",
    ("BMW", "EUR"): "DE0005190003",
    ("DTE", "EUR"): "DE0005557508",
    ("DBK", "EUR"): "DE0005140008",
}
"""By symbol and currency, as far as we know them; printed in the companies' own reports."""
# fmt: on
